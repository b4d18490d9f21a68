// The goodbye of a WebSocket connection against recorded frames: what it says when, how each answer
// and each silence ends, and that it follows a client's bytes however they are cut.
#include "zdd/drain/websocket_goodbye.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/string_view.h"
#include "tests/unit/drain/pieces.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

using std::string_literals::operator""s;

// ---- Recorded: what a client sends, masked with RFC 6455 5.7's key.

const std::string kHello = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s;  // 5.7: "Hello"
const std::string kKey = "\x37\xfa\x21\x3d"s;

std::string Masked(std::string payload) {
  for (size_t i = 0; i < payload.size(); ++i) payload[i] ^= kKey[i % 4];
  return kKey + payload;
}
std::string Frame(char first, const std::string& payload) {
  return first + std::string(1, static_cast<char>(0x80 | payload.size())) + Masked(payload);
}
std::string Close(const std::string& payload) { return Frame('\x88', payload); }
std::string Ping(const std::string& payload) { return Frame('\x89', payload); }

// ---- Recorded: what the server says.

const std::string kRestart = "\x88\x02\x03\xf4"s;        // 1012
const std::string kNormal = "\x88\x02\x03\xe8"s;         // 1000
const std::string kProtocolError = "\x88\x02\x03\xea"s;  // 1002
const std::string kEmpty = "\x88\0"s;

const Instant kNow = absl::Seconds(1000);
const Instant kNever = absl::InfiniteDuration();
const absl::Duration kTick = absl::Nanoseconds(1);

WebSocketGoodbye Said() {
  WebSocketGoodbye goodbye;
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), kRestart);
  return goodbye;
}

// ---- What is said when

TEST(WebSocketGoodbyeTest, SaysNothingWhileItIsOpen) {
  WebSocketGoodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(kHello + Ping("") + Frame('\x8a', "pong")));
  goodbye.OnTime(kNow);
  goodbye.OnAsk(Ask::kNone, kNow);
  goodbye.OnAsk(Ask::kMigrate, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_FALSE(goodbye.closing());
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.next(), kNever);
}

TEST(WebSocketGoodbyeTest, SaysItOnceAndIsDoneWhenTheClientAnswers) {
  WebSocketGoodbye goodbye;
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_TRUE(goodbye.closing());
  EXPECT_EQ(goodbye.TakeBytes(), kRestart);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNow + absl::Seconds(5));
  EXPECT_OK(goodbye.OnBytes(kHello + Ping("x")));  // sent before it heard
  goodbye.OnAsk(Ask::kCloseWhenIdle, kNow);
  EXPECT_FALSE(goodbye.done());
  EXPECT_FALSE(goodbye.answered());
  EXPECT_OK(goodbye.OnBytes(Close("\x03\xf4")));
  EXPECT_TRUE(goodbye.done());
  EXPECT_TRUE(goodbye.answered());
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNever);
}

TEST(WebSocketGoodbyeTest, AnyCloseOfTheClientIsAnAnswer) {
  for (const std::string& payload : {""s, "\x03\xe8"s, "\x03\xeawhat is 1012?"s, "x"s}) {
    WebSocketGoodbye goodbye = Said();
    EXPECT_OK(goodbye.OnBytes(Close(payload)));
    EXPECT_TRUE(goodbye.done());
    EXPECT_EQ(goodbye.TakeBytes(), "");
  }
}

TEST(WebSocketGoodbyeTest, IsNotDoneBeforeItsBytesWereTaken) {
  WebSocketGoodbye goodbye;
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_OK(goodbye.OnBytes(Close("\x03\xe8")));  // the client's crossed ours
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.TakeBytes(), kRestart);  // which is the answer too
  EXPECT_TRUE(goodbye.done());
}

TEST(WebSocketGoodbyeTest, WaitsForAnAnswerOnlySoLong) {
  WebSocketGoodbyeOptions options;
  options.answer = absl::Milliseconds(300);
  ASSERT_OK_AND_MOVE(WebSocketGoodbye goodbye, WebSocketGoodbye::Create(options));
  goodbye.OnAsk(Ask::kCloseWhenIdle, kNow);  // as good as a goodbye
  EXPECT_EQ(goodbye.TakeBytes(), kRestart);
  goodbye.OnTime(kNow + options.answer - kTick);
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.next(), kNow + options.answer);
  goodbye.OnTime(kNow + options.answer);
  EXPECT_TRUE(goodbye.done());
  EXPECT_FALSE(goodbye.answered());
  EXPECT_EQ(goodbye.next(), kNever);
  EXPECT_EQ(goodbye.TakeBytes(), "");
}

TEST(WebSocketGoodbyeTest, ACutSaysItAndDoesNotWait) {
  WebSocketGoodbye goodbye;
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.TakeBytes(), kRestart);
  EXPECT_TRUE(goodbye.done());
  goodbye.OnAsk(Ask::kGoodbye, kNow);  // never lower after higher, but harmless
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_TRUE(goodbye.done());
}

TEST(WebSocketGoodbyeTest, ACutAfterTheGoodbyeWaitsNoLonger) {
  WebSocketGoodbye goodbye = Said();
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_TRUE(goodbye.done());
  EXPECT_FALSE(goodbye.answered());
}

// ---- A client that closes by itself

TEST(WebSocketGoodbyeTest, AnswersAClientThatClosesByItself) {
  WebSocketGoodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(kHello + Close("\x03\xe8"
                                           "bye")));
  EXPECT_TRUE(goodbye.closing());
  EXPECT_TRUE(goodbye.answered());
  EXPECT_EQ(goodbye.TakeBytes(), kNormal);
  EXPECT_TRUE(goodbye.done());
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNever);
}

TEST(WebSocketGoodbyeTest, SendsBackOnlyCodesThatMayBeSent) {
  const auto answer = [](absl::optional<uint16_t> code) {
    WebSocketGoodbye goodbye;
    goodbye.OnClientClose(code);
    return goodbye.TakeBytes();
  };
  EXPECT_EQ(answer(absl::nullopt), kEmpty);
  for (uint16_t code : {1000, 1003, 1007, 1012, 1014, 3000, 4999}) {  // RFC 6455 7.4, IANA
    const std::string bytes = {'\x88', 2, static_cast<char>(code >> 8), static_cast<char>(code)};
    EXPECT_EQ(answer(code), bytes) << code;
  }
  for (uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    EXPECT_EQ(answer(code), kProtocolError) << code;
  }
}

TEST(WebSocketGoodbyeTest, ACloseFrameOfOneByteIsAProtocolError) {
  WebSocketGoodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(Close("x")));
  EXPECT_EQ(goodbye.TakeBytes(), kProtocolError);
}

TEST(WebSocketGoodbyeTest, WhatFollowsTheClientsCloseIsNothing) {
  WebSocketGoodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(Close("\x03\xe8") + "garbage"));
  EXPECT_OK(goodbye.OnBytes("\xff\xff\xff"));
  EXPECT_EQ(goodbye.TakeBytes(), kNormal);
  EXPECT_TRUE(goodbye.done());
}

// ---- Options

TEST(WebSocketGoodbyeTest, SaysTheCodeAndReasonThatItWasGiven) {
  ASSERT_OK_AND_MOVE(WebSocketGoodbye goodbye,
                     WebSocketGoodbye::Create({kWebSocketGoingAway, "à bientôt"}));
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "\x88\x0d\x03\xe9"s + "à bientôt");
}

TEST(WebSocketGoodbyeTest, TheReasonMayBeUtf8OfAtMost123Bytes) {
  const std::string longest(123, 'x');
  ASSERT_OK_AND_MOVE(WebSocketGoodbye goodbye, WebSocketGoodbye::Create({1012, longest}));
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "\x88\x7d\x03\xf4"s + longest);  // RFC 6455 5.5: at most 125
  EXPECT_STATUS(WebSocketGoodbye::Create({1012, longest + "x"}), kInvalidArgument,
                "too long (124 bytes, at most 123)");
  // RFC 3629 3 and 10: the first and the last of each length.
  for (const std::string& good :
       {"\0\x7f"s, "\xc2\x80\xdf\xbf"s, "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"s,
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"s}) {
    EXPECT_OK(WebSocketGoodbye::Create({1012, good}));
  }
  for (const std::string& bad :
       {"\x80"s, "\xc1\xbf"s, "\xc2"s, "\xc2x"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s, "\xe1\x80"s,
        "\xe1\x80x"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s,
        "\xf1\x80\x80\xc0"s, "\xff"s}) {
    EXPECT_STATUS(WebSocketGoodbye::Create({1012, bad}), kInvalidArgument, "not UTF-8");
  }
}

TEST(WebSocketGoodbyeTest, ACodeThatMayNotBeSentIsRefused) {
  for (uint16_t code : {0, 999, 1005, 1006, 1015, 2999, 5000}) {
    EXPECT_STATUS(WebSocketGoodbye::Create({code, ""}), kInvalidArgument, "may not be sent");
  }
}

// ---- Bytes

// Each form of a length (RFC 6455 5.2), and a close frame behind them.
std::string AllLengths() {
  return Frame('\x82', "") + Frame('\x82', "x") + "\x82\xfe\x00\x7e"s +
         Masked(std::string(126, 'x')) + "\x82\xff\0\0\0\0\0\x01\0\0"s +
         Masked(std::string(65536, 'x')) + Frame('\x01', "fragment") + Ping("ping") +
         Frame('\x80', "s") +
         Close(
             "\x03\xe8"
             "bye");
}

TEST(WebSocketGoodbyeTest, FollowsPiecesOfAnySize) {
  const std::string bytes = AllLengths();
  for (size_t size = 1; size < 300; ++size) {
    WebSocketGoodbye goodbye;
    for (absl::string_view piece : Cut(bytes, size)) {
      EXPECT_FALSE(goodbye.answered());
      EXPECT_OK(goodbye.OnBytes(piece));
      if (goodbye.answered()) break;  // when the code is there; the reason is of no interest
    }
    EXPECT_EQ(goodbye.TakeBytes(), kNormal) << "pieces of " << size;
  }
}

TEST(WebSocketGoodbyeTest, FollowsAnyTwoPieces) {
  const std::string bytes = kHello + Ping("p") + Close("\x03\xe8");
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    WebSocketGoodbye goodbye;
    EXPECT_OK(goodbye.OnBytes(bytes.substr(0, cut)));
    EXPECT_FALSE(goodbye.closing());
    EXPECT_OK(goodbye.OnBytes(bytes.substr(cut)));
    EXPECT_EQ(goodbye.TakeBytes(), kNormal) << "cut at " << cut;
  }
}

struct Broken {
  std::string bytes;
  std::string reason;
};

TEST(WebSocketGoodbyeTest, WhatIsNoFrameIsRefusedAndStaysSo) {
  const Broken all[] = {
      {"\x81\x05Hello"s, "not masked"},  // RFC 6455 5.1
      {"\x83\x80"s + kKey, "opcode 3 is reserved"},
      {"\x8b\x80"s + kKey, "opcode 11 is reserved"},
      {"\x08\x80"s + kKey, "control frame in fragments"},                               // 5.5
      {"\x88\xfe\0\x7e"s + kKey, "control frame of 126 bytes (at most 125)"},           // 5.5
      {"\x82\xff\x80\0\0\0\0\0\0\0"s + kKey, "length of 64 bits"},                      // 5.2
      {"\x82\xfe\0\x7d"s + kKey, "length 125 in 2 bytes, not in the fewest"},           // 5.2
      {"\x82\xff\0\0\0\0\0\0\xff\xff"s + kKey, "length 65535 in 8 bytes, not in the"},  // 5.2
  };
  for (const Broken& broken : all) {
    const std::string bytes = kHello + broken.bytes;
    for (size_t size = 1; size <= bytes.size(); ++size) {
      WebSocketGoodbye goodbye;
      absl::Status status;
      for (absl::string_view piece : Cut(bytes, size)) status = goodbye.OnBytes(piece);
      EXPECT_STATUS(status, kDataLoss, "read WebSocket frame: " + broken.reason);
      EXPECT_STATUS(goodbye.OnBytes(Close("")), kDataLoss, broken.reason);
      goodbye.OnAsk(Ask::kGoodbye, kNow);  // and the drain goes on
      goodbye.OnTime(goodbye.next());
      EXPECT_EQ(goodbye.TakeBytes(), kRestart);
      EXPECT_TRUE(goodbye.done());
    }
  }
}

}  // namespace
}  // namespace zdd
