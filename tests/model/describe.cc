// Steps and worlds in words.
#include "absl/strings/str_cat.h"
#include "tests/model/model.h"

namespace zdd::model {
namespace {

constexpr absl::string_view kNames[] = {"P", "S", "S2"};

absl::string_view Frame(uint8_t event) {
  absl::string_view name = EventName(static_cast<Event>(event));
  return name.substr(0, name.find("_frame"));
}

}  // namespace

std::string Model::Describe(const World& before, Step step, const World& after) {
  const Process& process = before.process[step.who];
  std::string text(kNames[step.who]);
  switch (step.kind) {
    case Step::kSpeak:
      absl::StrAppend(&text, " says hello");
      break;
    case Step::kRead: {
      Queue queue =
          step.what == 0 ? before.channel[step.who - 1].down : before.channel[step.who].up;
      absl::StrAppend(&text, " reads ", Frame(static_cast<uint8_t>(queue.Pop())));
      break;
    }
    case Step::kCarryOut:
      absl::StrAppend(&text, " does ", EffectName(machines_.GetEffects(process.todo).front()));
      break;
    case Step::kSpawnFails:
      absl::StrAppend(&text, " cannot spawn");
      break;
    case Step::kDefer:
      absl::StrAppend(&text, " waits for somebody to call Accept()");
      break;
    case Step::kPull:
      absl::StrAppend(&text, "'s embedder calls Accept()");
      break;
    case Step::kSee:
      absl::StrAppend(&text, " sees ", EventName(static_cast<Event>(step.what)));
      break;
    case Step::kTell:
      absl::StrAppend(&text, " is told ", EventName(static_cast<Event>(step.what)));
      break;
    case Step::kStart:
      absl::StrAppend(&text, " is started by hand");
      break;
    case Step::kDie:
      absl::StrAppend(&text, " is killed");
      break;
    case Step::kStop:
      absl::StrAppend(&text, " is stopped");
      break;
    case Step::kContinue:
      absl::StrAppend(&text, " is continued");
      break;
    case Step::kDelay:
      absl::StrAppend(&text, " is late with its pongs");
      break;
    case Step::kGarble:
      absl::StrAppend(&text, " sends garbage ", step.what == 0 ? "up" : "down");
      break;
    case Step::kLie:
      absl::StrAppend(&text, " lies: ", Frame(step.what));
      break;
    case Step::kSteal:
      absl::StrAppend(&text, " steals the token");
      break;
    case Step::kLeave:
      absl::StrAppend(&text, " leaves");
      break;
  }
  for (int who = 0; who < options_.generations; ++who) {
    if (!Honest(before, who) || !Honest(after, who)) continue;
    const Phase from = PhaseOf(before, who), to = PhaseOf(after, who);
    if (from != to)
      absl::StrAppend(&text, " (", kNames[who], ": ", PhaseName(from), " -> ", PhaseName(to), ")");
  }
  return text;
}

}  // namespace zdd::model
