// What a member is goes through a string and back; no other string is taken for one.
#include "examples/websocket_chat/member.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace chat {
namespace {

MemberState EveryFieldSet() {
  MemberState state;
  state.input = std::string("\x81\0,", 3);
  state.output = "12:output";
  state.phase = MemberState::Phase::kOpen;
  state.room = "kitchen";
  state.name = "ann";
  state.in_message = true;
  state.message = "hel";
  state.next = UINT64_MAX;
  return state;
}

// As it was first published: another version must be able to read it.
TEST(MemberStateTest, TheFormatStaysAsItIs) {
  EXPECT_EQ(kMemberFormat, "chat/1");
  EXPECT_EQ(Save(EveryFieldSet()),
            absl::StrCat(absl::string_view("3:\x81\0,,", 6), "9:12:output,1:1,7:kitchen,3:ann,",
                         "1:1,3:hel,20:18446744073709551615,"));
}

TEST(MemberStateTest, EveryFieldComesBack) {
  const absl::optional<MemberState> loaded = Load(Save(EveryFieldSet()));
  ASSERT_TRUE(loaded.has_value());
  const MemberState state = EveryFieldSet();
  EXPECT_EQ(loaded->input, state.input);
  EXPECT_EQ(loaded->output, state.output);
  EXPECT_EQ(loaded->phase, state.phase);
  EXPECT_EQ(loaded->room, state.room);
  EXPECT_EQ(loaded->name, state.name);
  EXPECT_EQ(loaded->in_message, state.in_message);
  EXPECT_EQ(loaded->message, state.message);
  EXPECT_EQ(loaded->next, state.next);
}

TEST(MemberStateTest, NothingShorterOrLongerIsTaken) {
  const std::string bytes = Save(EveryFieldSet());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Load(bytes.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(Load(bytes + "0:,").has_value());
}

TEST(MemberStateTest, NoValueBeyondItsRangeIsTaken) {
  const std::string bytes = Save(EveryFieldSet());
  EXPECT_FALSE(Load(absl::StrReplaceAll(bytes, {{"1:1,7:", "1:3,7:"}})).has_value()) << "phase";
  EXPECT_FALSE(Load(absl::StrReplaceAll(bytes, {{"1:1,3:", "1:2,3:"}})).has_value()) << "flag";
  EXPECT_FALSE(Load(absl::StrReplaceAll(bytes, {{"551615", "551616"}})).has_value()) << "number";
}

}  // namespace
}  // namespace chat
