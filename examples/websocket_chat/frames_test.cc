// Frames by the letter of RFC 6455, cut anywhere.
#include "examples/websocket_chat/frames.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace chat {
namespace {

// The examples of RFC 6455, 5.7.
constexpr absl::string_view kMaskedHello("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
constexpr absl::string_view kHel("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d", 9);

// One of a client, with the mask 0, which leaves the payload as it is.
std::string Masked(char first, absl::string_view head, absl::string_view payload) {
  return absl::StrCat(std::string(1, first), head, std::string(4, '\0'), payload);
}

std::string Text(absl::string_view head, size_t size) {
  return Masked('\x81', head, std::string(size, 'x'));
}

Took Take(absl::string_view input) {
  Frame frame;
  return TakeFrame(&input, &frame);
}

TEST(FramesTest, AFrameIsTakenAndUnmasked) {
  const std::string two = absl::StrCat(kMaskedHello, kHel);
  absl::string_view input = two;
  Frame frame;
  ASSERT_EQ(TakeFrame(&input, &frame), Took::kFrame);
  EXPECT_EQ(frame.opcode, Opcode::kText);
  EXPECT_TRUE(frame.last);
  EXPECT_EQ(frame.payload, "Hello");
  ASSERT_EQ(TakeFrame(&input, &frame), Took::kFrame);
  EXPECT_FALSE(frame.last);
  EXPECT_EQ(frame.payload, "Hel");
  EXPECT_EQ(input, "");
}

TEST(FramesTest, APartOfAFrameIsLeftInTheInput) {
  for (const std::string& whole : {std::string(kMaskedHello), Text({"\xfe\x01\x00", 3}, 256),
                                   Text({"\xff\0\0\0\0\0\0\x10\0", 9}, 4096)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      absl::string_view input(whole.data(), size);
      Frame frame;
      EXPECT_EQ(TakeFrame(&input, &frame), Took::kNeedMore) << size;
      EXPECT_EQ(input.size(), size);
    }
    EXPECT_EQ(Take(whole), Took::kFrame);
  }
}

TEST(FramesTest, WhatNoClientMaySendIsWrong) {
  EXPECT_EQ(Take({"\x81\x05Hello", 7}), Took::kWrong) << "not masked";
  EXPECT_EQ(Take(Masked('\xc1', "\x80", "")), Took::kWrong) << "a reserved bit";
  EXPECT_EQ(Take(Masked('\x83', "\x80", "")), Took::kWrong) << "an unknown opcode";
  EXPECT_EQ(Take(Masked('\x09', "\x80", "")), Took::kWrong) << "a ping in fragments";
  EXPECT_EQ(Take(Masked('\x89', {"\xfe\x00\x7e", 3}, "")), Took::kWrong) << "a ping of 126 bytes";
}

TEST(FramesTest, ALengthBeyondTheLimitIsWrongBeforeItsBytesCome) {
  EXPECT_EQ(Take(Text({"\xfe\x80\x00", 3}, kMessageBytesMax)), Took::kFrame);
  EXPECT_EQ(Take(Text({"\xfe\x80\x01", 3}, 0)), Took::kWrong);
  EXPECT_EQ(Take(Text("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0)), Took::kWrong);
}

TEST(FramesTest, WhatIsMadeHasTheShortestLength) {
  EXPECT_EQ(MakeFrame(Opcode::kText, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(MakeFrame(Opcode::kPong, ""), std::string("\x8a\x00", 2));
  EXPECT_EQ(MakeFrame(Opcode::kText, std::string(125, 'x')).substr(0, 2), "\x81\x7d");
  EXPECT_EQ(MakeFrame(Opcode::kText, std::string(126, 'x')).substr(0, 4),
            std::string("\x81\x7e\x00\x7e", 4));
  EXPECT_EQ(MakeFrame(Opcode::kText, std::string(0x10000, 'x')).substr(0, 10),
            std::string("\x81\x7f\0\0\0\0\0\x01\0\0", 10));
}

TEST(FramesTest, ACloseSaysWhy) { EXPECT_EQ(MakeClose(1012), "\x88\x02\x03\xf4"); }

}  // namespace
}  // namespace chat
