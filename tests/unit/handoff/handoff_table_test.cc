#include "zdd/handoff/handoff_table.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/handoff/machine_play.h"
#include "zdd/handoff/table_text.h"

namespace zdd {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

bool IsEnd(Phase phase) { return phase == Phase::kDrained || phase == Phase::kFailed; }

std::vector<Effect> EffectsOf(const Row& row) {
  std::vector<Effect> effects(row.effects.begin(), row.effects.end());
  effects.erase(std::remove(effects.begin(), effects.end(), Effect::kNone), effects.end());
  return effects;
}

bool HasRow(Phase phase, Event event) {
  const auto rows = HandoffTable();
  return std::any_of(rows.begin(), rows.end(),
                     [&](const Row& row) { return row.from == phase && row.on == event; });
}

std::set<Phase> ReachableFrom(std::set<Phase> reached) {
  for (size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (const Row& row : HandoffTable()) {
      if (reached.count(row.from) != 0) reached.insert(row.to);
    }
  }
  return reached;
}

template <typename Enum>
std::set<std::string> NamesOf(int count, absl::string_view (*name)(Enum)) {
  std::set<std::string> names;
  for (int i = 0; i < count; ++i) names.emplace(name(static_cast<Enum>(i)));
  return names;
}

TEST(HandoffTable, NamesAreThereAndUnique) {
  const int effect_count = static_cast<int>(Effect::kEnd) + 1;
  EXPECT_EQ(NamesOf(kPhaseCount, PhaseName).size(), static_cast<size_t>(kPhaseCount));
  EXPECT_EQ(NamesOf(kEventCount, EventName).size(), static_cast<size_t>(kEventCount));
  EXPECT_EQ(NamesOf(effect_count, EffectName).size(), static_cast<size_t>(effect_count));
  EXPECT_EQ(PhaseName(Phase::kFailed), "failed");
  EXPECT_EQ(EventName(Event::kAllGone), "all_gone");
  EXPECT_EQ(EffectName(Effect::kEnd), "end");
}

TEST(HandoffTable, APhaseAndAnEventHaveOneRowAtMost) {
  std::set<std::pair<Phase, Event>> seen;
  for (const Row& row : HandoffTable())
    EXPECT_TRUE(seen.emplace(row.from, row.on).second) << row.from << " on " << row.on;
}

TEST(HandoffTable, EachPhaseIsReachable) {
  EXPECT_EQ(ReachableFrom({Phase::kStarting, Phase::kJoining}).size(),
            static_cast<size_t>(kPhaseCount));
}

TEST(HandoffTable, FromEachPhaseAnEndIsReachable) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const std::set<Phase> reached = ReachableFrom({static_cast<Phase>(i)});
    EXPECT_TRUE(std::any_of(reached.begin(), reached.end(), IsEnd)) << static_cast<Phase>(i);
  }
}

TEST(HandoffTable, OnlyTheEndsHaveNoWayOut) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const auto rows = HandoffTable();
    EXPECT_NE(IsEnd(phase),
              std::any_of(rows.begin(), rows.end(),
                          [&](const Row& row) { return row.from == phase && row.to != phase; }))
        << phase;
  }
}

TEST(HandoffTable, APhaseWithALimitSaysWhereItsDeadlineLeads) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const bool limited = LimitOf(phase) != Limit::kNever;
    // In yielding the deadline is the moment to call it theft, if S never was prepared.
    const Event way = phase == Phase::kYielding ? Event::kTokenStolen : Event::kDeadline;
    EXPECT_EQ(limited, HasRow(phase, way)) << phase;
  }
}

TEST(HandoffTable, APhaseWithoutALimitHasAnotherWayOutThatMustCome) {
  const std::set<std::pair<Phase, Event>> ways = {
      {Phase::kAccepting, Event::kSilenceOver},  // a P that neither speaks nor dies
      {Phase::kTaking, Event::kTokenTaken},      // answered at once
      {Phase::kTaking, Event::kAbortFrame},      // of the one who has the token
      {Phase::kTaking, Event::kPeerDead},        // or its death
      {Phase::kStandby, Event::kSoakOver},       // a timer
      {Phase::kConfirming, Event::kTokenGone},   // answered at once
      {Phase::kRecalling, Event::kTokenTaken},   // answered at once
      {Phase::kStopping, Event::kLameDuckOver},  // a timer
      {Phase::kDraining, Event::kAllGone},       // the drain has a deadline of its own
      {Phase::kLeaving, Event::kAllGone},
  };
  for (const auto& [phase, event] : ways) EXPECT_TRUE(HasRow(phase, event)) << phase;
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    if (LimitOf(phase) != Limit::kNever || IsEnd(phase) || phase == Phase::kServing) continue;
    EXPECT_TRUE(std::any_of(ways.begin(), ways.end(), [&](const auto& way) {
      return way.first == phase;
    })) << phase;
  }
}

TEST(HandoffTable, EachEventMeansSomethingSomewhere) {
  for (int i = 0; i < kEventCount; ++i) {
    const Event event = static_cast<Event>(i);
    bool matters = false;
    for (int j = 0; j < kPhaseCount; ++j) {
      HandoffMachine machine = In(static_cast<Phase>(j));
      if (event == Event::kAnswered) machine.OnEvent(Event::kSilent);
      const HandoffMachine before = machine;
      matters |= !machine.OnEvent(event).empty() || machine != before;
    }
    EXPECT_TRUE(matters) << event;
  }
}

TEST(HandoffTable, EachEffectIsUsed) {
  std::set<Effect> used = {Effect::kNone, Effect::kTakeToken, Effect::kSendWish};
  for (const Row& row : HandoffTable()) used.insert(row.effects.begin(), row.effects.end());
  EXPECT_EQ(used.size(), static_cast<size_t>(Effect::kEnd) + 1);
}

TEST(HandoffTable, ToEndIsTheLastThingThatAGenerationDoes) {
  for (const Row& row : HandoffTable()) {
    const std::vector<Effect> effects = EffectsOf(row);
    const bool ends = !effects.empty() && effects.back() == Effect::kEnd;
    EXPECT_EQ(ends, IsEnd(row.to)) << row.from << " on " << row.on;
    EXPECT_EQ(std::count(effects.begin(), effects.end(), Effect::kEnd), ends);
  }
}

TEST(HandoffTable, ADrainBeginsWhenTheListenersAreClosed) {
  for (const Row& row : HandoffTable()) {
    const bool begins =
        row.from != row.to && (row.to == Phase::kDraining || row.to == Phase::kLeaving);
    if (!begins) continue;
    const std::vector<Effect> effects = EffectsOf(row);
    const auto close = std::find(effects.begin(), effects.end(), Effect::kCloseListeners);
    EXPECT_NE(std::find(close, effects.end(), Effect::kBeginDrain), effects.end())
        << row.from << " on " << row.on;
  }
}

TEST(HandoffTable, OnlyALastOwnerUnlinksSockets) {
  for (const Row& row : HandoffTable()) {
    if (row.from == Phase::kStarting || row.from == Phase::kStopping) continue;
    EXPECT_THAT(EffectsOf(row), testing::Not(Contains(Effect::kUnlinkSockets)))
        << row.from << " on " << row.on;
  }
}

TEST(HandoffTable, WhoKillsItsSuccessorForgetsItAtOnce) {
  for (const Row& row : HandoffTable()) {
    const std::vector<Effect> effects = EffectsOf(row);
    if (std::count(effects.begin(), effects.end(), Effect::kKillPeer) == 0) continue;
    EXPECT_EQ(row.to, Phase::kServing) << "what it had said could still be believed";
    EXPECT_EQ(effects.back(), Effect::kForgetPeer);
  }
}

TEST(HandoffTable, IsPrintedRowByRow) {
  const std::string text = TableAsMarkdown();
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), HandoffTable().size() + 2);
  EXPECT_THAT(text, HasSubstr("| **joining** (at most join_timeout) | offer_frame | adopting |"));
  EXPECT_THAT(text, HasSubstr("|  | stop |  | send_fail |\n")) << "what stays where it is";
}

TEST(HandoffTable, IsDrawnWithOneArrowBetweenTwoPhases) {
  const std::string text = TableAsMermaid();
  std::set<std::pair<Phase, Phase>> arrows;
  for (const Row& row : HandoffTable()) {
    if (row.from != row.to) arrows.emplace(row.from, row.to);
  }
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), arrows.size() + 5);  // title, two starts, two ends
  EXPECT_THAT(text, HasSubstr("  recalling --> yielding: token_gone\n"));
}

}  // namespace
}  // namespace zdd
