// What a connection knows goes through a string and back; no other string is taken for one.
#include "examples/http_server/state.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace example {
namespace {

using Phase = State::Phase;

State EveryFieldSet() {
  State state;
  state.input = std::string("in\0put,", 7);
  state.output = "12:output";
  state.phase = Phase::kLines;
  state.request.method = "GET";
  state.request.target = "/stream?ms=1";
  state.request.upgrade = "echo";
  state.request.minor = 0;
  state.request.keep_alive = false;
  state.framing = {BodyFraming::Part::kChunkBytes, UINT64_MAX};
  state.digest = {UINT64_MAX - 1, 0x123456789abcdef0};
  state.last = true;
  state.line = 1'000'000'000'000;
  state.due_us = 123'456;
  return state;
}

// As it was first published: another version must be able to read it.
TEST(StateTest, TheFormatStaysAsItIs) {
  EXPECT_EQ(kStateFormat, "http/1");
  EXPECT_EQ(Save(EveryFieldSet()),
            absl::StrCat(absl::string_view("7:in\0put,,", 10),
                         "9:12:output,1:3,3:GET,12:/stream?ms=1,4:echo,1:0,1:0,1:3,"
                         "20:18446744073709551615,20:18446744073709551614,"
                         "19:1311768467463790320,1:1,13:1000000000000,6:123456,"));
}

TEST(StateTest, EveryFieldComesBack) {
  const absl::optional<State> loaded = Load(Save(EveryFieldSet()));
  ASSERT_TRUE(loaded.has_value());
  const State state = EveryFieldSet();
  EXPECT_EQ(loaded->input, state.input);
  EXPECT_EQ(loaded->output, state.output);
  EXPECT_EQ(loaded->phase, state.phase);
  EXPECT_EQ(loaded->request.method, state.request.method);
  EXPECT_EQ(loaded->request.target, state.request.target);
  EXPECT_EQ(loaded->request.upgrade, state.request.upgrade);
  EXPECT_EQ(loaded->request.minor, state.request.minor);
  EXPECT_EQ(loaded->request.keep_alive, state.request.keep_alive);
  EXPECT_EQ(loaded->framing.part, state.framing.part);
  EXPECT_EQ(loaded->framing.left, state.framing.left);
  EXPECT_EQ(loaded->digest.bytes, state.digest.bytes);
  EXPECT_EQ(loaded->digest.hash, state.digest.hash);
  EXPECT_EQ(loaded->last, state.last);
  EXPECT_EQ(loaded->line, state.line);
  EXPECT_EQ(loaded->due_us, state.due_us);
}

TEST(StateTest, NothingShorterOrLongerIsTaken) {
  const std::string bytes = Save(EveryFieldSet());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Load(bytes.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(Load(bytes + "0:,").has_value());
  EXPECT_FALSE(Load(bytes + "x").has_value());
}

TEST(StateTest, NoFieldIsTakenBeyondItsRange) {
  const auto is_taken = [](auto change) {
    State state;
    change(&state);
    return Load(Save(state)).has_value();
  };
  EXPECT_TRUE(is_taken([](State*) {}));
  EXPECT_FALSE(is_taken([](State* state) { state->phase = static_cast<Phase>(6); }));
  EXPECT_FALSE(is_taken([](State* state) { state->phase = static_cast<Phase>(-1); }));
  EXPECT_FALSE(is_taken([](State* state) { state->framing.part = BodyFraming::Part(6); }));
  EXPECT_FALSE(is_taken([](State* state) { state->line = -1; }));
  EXPECT_FALSE(is_taken([](State* state) { state->due_us = -1; }));
  EXPECT_FALSE(is_taken([](State* state) { state->due_us = INT64_MAX; }));
}

// Whatever it makes of it, it survives it.
TEST(StateTest, AnyByteMayBeWrong) {
  const std::string bytes = Save(EveryFieldSet());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int wrong = 0; wrong < 256; ++wrong) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(wrong);
      (void)Load(changed);
    }
  }
  for (absl::string_view no_state :
       {"", ":", ",", "-1:,", "99999999999999999999:x,", "0:", "1:,"}) {
    EXPECT_FALSE(Load(no_state).has_value()) << no_state;
  }
}

}  // namespace
}  // namespace example
