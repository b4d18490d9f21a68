#include "zdd/handoff/table_text.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace zdd {
namespace {

absl::string_view LimitText(Limit limit) {
  switch (limit) {
    case Limit::kNever:
      return "";
    case Limit::kJoin:
      return "join_timeout";
    case Limit::kHello:
      return "hello_timeout";
    case Limit::kReady:
      return "ready_timeout";
    case Limit::kSwitch:
      return "5 s";
    case Limit::kPeerDrain:
      return "drain_timeout of the successor + 1 s";
  }
  return "";
}

std::string EffectsText(const Row& row) {
  std::vector<absl::string_view> names;
  for (Effect effect : row.effects) {
    if (effect != Effect::kNone) names.push_back(EffectName(effect));
  }
  return absl::StrJoin(names, ", ");
}

std::string PhaseText(Phase phase) {
  std::string name = absl::StrCat("**", PhaseName(phase), "**");
  for (const Row& row : HandoffTable()) {
    if (row.from == phase && row.on == Event::kDeadline)
      return absl::StrCat(name, " (at most ", LimitText(LimitOf(phase)), ")");
  }
  return name;
}

std::string MarkdownRow(const Row& row, bool first_of_phase) {
  return absl::StrCat("| ", first_of_phase ? PhaseText(row.from) : "", " | ", EventName(row.on),
                      " | ", row.to == row.from ? "" : PhaseName(row.to), " | ", EffectsText(row),
                      " |\n");
}

}  // namespace

std::string TableAsMarkdown() {
  std::string text = "| phase | event | next phase | effects |\n|---|---|---|---|\n";
  const Row* before = nullptr;
  for (const Row& row : HandoffTable()) {
    absl::StrAppend(&text, MarkdownRow(row, before == nullptr || before->from != row.from));
    before = &row;
  }
  return text;
}

std::string TableAsMermaid() {
  struct Arrow {
    std::pair<Phase, Phase> ends;
    std::vector<absl::string_view> events;
  };
  std::vector<Arrow> arrows;
  for (const Row& row : HandoffTable()) {
    if (row.from == row.to) continue;
    const std::pair<Phase, Phase> ends(row.from, row.to);
    Arrow* arrow = nullptr;
    for (Arrow& one : arrows) {
      if (one.ends == ends) arrow = &one;
    }
    if (arrow == nullptr) arrow = &arrows.emplace_back(Arrow{ends, {}});
    arrow->events.push_back(EventName(row.on));
  }
  std::string text = "stateDiagram-v2\n  [*] --> starting\n  [*] --> joining\n";
  for (const Arrow& arrow : arrows) {
    absl::StrAppend(&text, "  ", PhaseName(arrow.ends.first), " --> ", PhaseName(arrow.ends.second),
                    ": ", absl::StrJoin(arrow.events, ", "), "\n");
  }
  return absl::StrCat(text, "  drained --> [*]\n  failed --> [*]\n");
}

}  // namespace zdd
