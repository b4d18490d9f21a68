// The goodbye of an HTTP/2 connection against recorded frames: what it says when, which streams it
// serves, and that it follows a client's bytes however they are cut.
#include "zdd/drain/http2_goodbye.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/string_view.h"
#include "tests/unit/drain/pieces.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

using std::string_literals::operator""s;

// ---- Recorded: what a client sends (curl 7.88: preface, SETTINGS, WINDOW_UPDATE, HEADERS).

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4
const std::string kSettings =                                     // 6.5
    "\0\0\x12\x04\0\0\0\0\0"s
    "\0\x03\0\0\0\x64\0\x04\x02\0\0\0\0\x02\0\0\0\0"s;
const std::string kWindowUpdate = "\0\0\x04\x08\0\0\0\0\0\x01\xff\0\x01"s;  // 6.9
const std::string kHeaderBlock = "\x82\x86\x84\x41\x8a\xa0\xe4\x1d\x13\x9d\x09\xb8\xf0\x1e\x07"s;
const std::string kStart = kPreface + kSettings + kWindowUpdate;

std::string Headers(char stream) {  // 6.2, with END_STREAM and END_HEADERS
  return "\0\0\x0f\x01\x05\0\0\0"s + stream + kHeaderBlock;
}
std::string Data(char stream) { return "\0\0\x04\0\0\0\0\0"s + stream + "data"; }  // 6.1
std::string Reset(char stream) {                                                   // 6.4, CANCEL
  return "\0\0\x04\x03\0\0\0\0"s + stream + "\0\0\0\x08"s;
}
const std::string kPingAck = "\0\0\x08\x06\x01\0\0\0\0zdd.bye1"s;        // 6.7, of ours
const std::string kSecondPingAck = "\0\0\x08\x06\x01\0\0\0\0zdd.bye2"s;  // the same
const std::string kOtherPingAck = "\0\0\x08\x06\x01\0\0\0\0other..."s;   // of the server's own
const std::string kPing = "\0\0\x08\x06\0\0\0\0\0zdd.bye1"s;             // a client's, no ACK

// ---- Recorded: what the server says.

const std::string kAnnouncement =
    "\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"s  // 6.8: no stream is the last, NO_ERROR
    "\0\0\x08\x06\0\0\0\0\0zdd.bye1"s;                 // 6.7
const std::string kSecondPing = "\0\0\x08\x06\0\0\0\0\0zdd.bye2"s;
std::string GoAway(char last) { return "\0\0\x08\x07\0\0\0\0\0\0\0\0"s + last + "\0\0\0\0"s; }

const Instant kNow = absl::Seconds(1000);
const Instant kNever = absl::InfiniteDuration();
const absl::Duration kTick = absl::Nanoseconds(1);

// A connection on which streams 1 and 3 were begun.
Http2Goodbye WithTwoStreams() {
  Http2Goodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(kStart + Headers(1) + Headers(3)));
  return goodbye;
}

// ---- What is said when

TEST(Http2GoodbyeTest, SaysNothingWhileItServes) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnStreamEnded(1);
  goodbye.OnStreamEnded(3);
  goodbye.OnTime(kNow);
  goodbye.OnAsk(Ask::kNone, kNow);
  goodbye.OnAsk(Ask::kMigrate, kNow);
  EXPECT_OK(goodbye.OnBytes(kPingAck));
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.next(), kNever);
  EXPECT_EQ(goodbye.last_stream_id(), kHttp2StreamIdMax);
}

TEST(Http2GoodbyeTest, AnnouncesThenNamesTheLastStreamThenIsDone) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNow + absl::Seconds(5));
  EXPECT_OK(goodbye.OnBytes(Headers(5)));  // it crossed the announcement: served
  EXPECT_EQ(goodbye.last_stream_id(), kHttp2StreamIdMax);
  EXPECT_OK(goodbye.OnBytes(kPingAck + Headers(7)));  // gRPC: the ACK overtook it
  EXPECT_EQ(goodbye.TakeBytes(), kSecondPing);
  EXPECT_EQ(goodbye.next(), kNow + absl::Seconds(5));
  EXPECT_EQ(goodbye.last_stream_id(), kHttp2StreamIdMax);
  EXPECT_OK(goodbye.OnBytes(kPingAck));  // once more: nothing
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_OK(goodbye.OnBytes(kSecondPingAck));
  EXPECT_EQ(goodbye.last_stream_id(), 7u);
  EXPECT_EQ(goodbye.next(), kNever);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(7));
  for (uint32_t stream : {3, 1, 5, 7}) {
    EXPECT_TRUE(goodbye.busy());
    EXPECT_FALSE(goodbye.done());
    goodbye.OnStreamEnded(stream);
  }
  EXPECT_FALSE(goodbye.busy());
  EXPECT_TRUE(goodbye.done());
  EXPECT_EQ(goodbye.TakeBytes(), "");
}

TEST(Http2GoodbyeTest, IsNotDoneBeforeItsBytesWereTaken) {
  Http2Goodbye goodbye;
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_OK(goodbye.OnBytes(kStart + kPingAck + kSecondPingAck));
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement + kSecondPing + GoAway(0));  // in order, if late
  EXPECT_TRUE(goodbye.done());
}

TEST(Http2GoodbyeTest, ASecondAskSaysNothingMore) {
  Http2Goodbye goodbye;
  goodbye.OnAsk(Ask::kCloseWhenIdle, kNow);  // as good as a goodbye
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement);
  goodbye.OnAsk(Ask::kGoodbye, kNow + absl::Seconds(1));
  goodbye.OnAsk(Ask::kCloseWhenIdle, kNow + absl::Seconds(1));
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNow + absl::Seconds(5));
  goodbye.OnTime(kNow + absl::Seconds(5));
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(0));
  goodbye.OnAsk(Ask::kGoodbye, kNow + absl::Seconds(6));
  goodbye.OnTime(kNow + absl::Seconds(100));
  EXPECT_OK(goodbye.OnBytes(kStart + kPingAck + kSecondPingAck));
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_TRUE(goodbye.done());
}

TEST(Http2GoodbyeTest, WaitsForAnAcknowledgementOnlySoLong) {
  Http2GoodbyeLimits limits;
  limits.ack = absl::Milliseconds(300);
  Http2Goodbye goodbye(limits);
  EXPECT_OK(goodbye.OnBytes(kStart + Headers(1)));
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement);
  EXPECT_OK(goodbye.OnBytes(kPingAck));  // one is not enough
  EXPECT_EQ(goodbye.TakeBytes(), kSecondPing);
  goodbye.OnTime(kNow + limits.ack - kTick);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_EQ(goodbye.next(), kNow + limits.ack);
  goodbye.OnTime(kNow + limits.ack);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(1));
  EXPECT_EQ(goodbye.next(), kNever);
}

TEST(Http2GoodbyeTest, OnlyTheAckOfItsOwnPingCounts) {
  Http2Goodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(kStart + Headers(1)));
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement);
  EXPECT_OK(goodbye.OnBytes(kOtherPingAck + kPing + kSecondPingAck));
  EXPECT_EQ(goodbye.TakeBytes(), "");
}

TEST(Http2GoodbyeTest, ACutNamesTheLastStreamAndWaitsForNone) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_FALSE(goodbye.done());
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(3));
  EXPECT_TRUE(goodbye.done());
  EXPECT_TRUE(goodbye.busy());
}

TEST(Http2GoodbyeTest, ACutAfterTheLastStreamWasNamedSaysNothingMore) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  EXPECT_OK(goodbye.OnBytes(kPingAck + kSecondPingAck));
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement + kSecondPing + GoAway(3));
  EXPECT_FALSE(goodbye.done());
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "");
  EXPECT_TRUE(goodbye.done());
}

// ---- Streams

TEST(Http2GoodbyeTest, AStreamAboveTheLastIsNotServed) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  goodbye.OnTime(kNow + absl::Seconds(5));
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement + GoAway(3));
  EXPECT_OK(goodbye.OnBytes(Headers(5) + Data(5) + Headers(7) + Reset(7)));
  EXPECT_EQ(goodbye.last_stream_id(), 3u);
  goodbye.OnStreamEnded(1);
  goodbye.OnStreamEnded(5);
  EXPECT_FALSE(goodbye.done());
  goodbye.OnStreamEnded(3);
  EXPECT_TRUE(goodbye.done());
}

TEST(Http2GoodbyeTest, TrailersBeginNoStreamAndAResetEndsOne) {
  Http2Goodbye goodbye = WithTwoStreams();
  goodbye.OnStreamEnded(1);
  EXPECT_OK(goodbye.OnBytes(Headers(1) + Headers(3)));  // late ones, and trailers
  EXPECT_TRUE(goodbye.busy());
  EXPECT_OK(goodbye.OnBytes(Reset(3)));
  EXPECT_FALSE(goodbye.busy());
  goodbye.OnStreamEnded(3);  // the server lets go of it too
  EXPECT_FALSE(goodbye.busy());
}

TEST(Http2GoodbyeTest, StreamIdsMayLeaveOutSome) {
  Http2Goodbye goodbye;
  EXPECT_OK(goodbye.OnBytes(kStart + Headers(101)));
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(101));
}

TEST(Http2GoodbyeTest, EventsDoWhatBytesDo) {
  Http2Goodbye goodbye;
  for (uint32_t stream : {1, 3, 3, 2}) goodbye.OnStreamBegan(stream);  // 2 is pushed
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  goodbye.OnPingAck("other...");
  EXPECT_EQ(goodbye.last_stream_id(), kHttp2StreamIdMax);
  EXPECT_EQ(goodbye.TakeBytes(), kAnnouncement);
  goodbye.OnPingAck("zdd.bye1");
  EXPECT_EQ(goodbye.last_stream_id(), kHttp2StreamIdMax);
  EXPECT_EQ(goodbye.TakeBytes(), kSecondPing);
  goodbye.OnPingAck("zdd.bye2");
  EXPECT_EQ(goodbye.last_stream_id(), 3u);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(3));
  goodbye.OnStreamBegan(5);
  goodbye.OnStreamBegan(4);  // a push for stream 3
  goodbye.OnStreamEnded(4);
  goodbye.OnStreamEnded(3);
  goodbye.OnStreamEnded(1);
  EXPECT_FALSE(goodbye.done());
  goodbye.OnStreamEnded(2);
  EXPECT_TRUE(goodbye.done());
}

TEST(Http2GoodbyeTest, ACopyGoesItsOwnWay) {
  Http2Goodbye goodbye = WithTwoStreams();
  Http2Goodbye copy = goodbye;
  copy.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), "");
}

// ---- Bytes

// A whole connection with its goodbye: what was said, to compare.
std::string SaidInPiecesOf(size_t size) {
  Http2Goodbye goodbye;
  std::string said;
  const auto read = [&](const std::string& bytes) {
    for (absl::string_view piece : Cut(bytes, size)) {
      EXPECT_OK(goodbye.OnBytes(piece));
      said += goodbye.TakeBytes();
    }
  };
  read(kStart + Headers(1) + Data(1) + Reset(1) + Headers(3));
  goodbye.OnAsk(Ask::kGoodbye, kNow);
  read(kOtherPingAck + Headers(5) + Data(5) + kPingAck + kSecondPingAck + Headers(7) + Data(7));
  EXPECT_EQ(goodbye.last_stream_id(), 5u);
  goodbye.OnStreamEnded(3);
  EXPECT_FALSE(goodbye.done());
  goodbye.OnStreamEnded(5);
  EXPECT_TRUE(goodbye.done());
  return said;
}

TEST(Http2GoodbyeTest, FollowsPiecesOfAnySize) {
  for (size_t size = 1; size < 200; ++size) {
    EXPECT_EQ(SaidInPiecesOf(size), kAnnouncement + kSecondPing + GoAway(5))
        << "pieces of " << size;
  }
}

TEST(Http2GoodbyeTest, FollowsAnyTwoPieces) {
  const std::string bytes = kStart + Headers(1) + kPing + Data(1) + Headers(3);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Http2Goodbye goodbye;
    EXPECT_OK(goodbye.OnBytes(bytes.substr(0, cut)));
    EXPECT_OK(goodbye.OnBytes(bytes.substr(cut)));
    goodbye.OnAsk(Ask::kCloseNow, kNow);
    EXPECT_EQ(goodbye.TakeBytes(), GoAway(3)) << "cut at " << cut;
  }
}

TEST(Http2GoodbyeTest, PassesOverWhatItDoesNotKnow) {
  Http2Goodbye goodbye;
  const std::string unknown = "\0\0\x03\xfe\xff\x80\0\0\x02"s + "xyz";  // RFC 9113 4.1: ignored
  const std::string empty = "\0\0\0\x09\x04\0\0\0\x01"s;                // CONTINUATION
  const std::string reserved_bit = "\0\0\0\x01\x04\x80\0\0\x01"s;       // ignored, 4.1
  EXPECT_OK(goodbye.OnBytes(kStart + unknown + reserved_bit + empty));
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(1));
}

TEST(Http2GoodbyeTest, ALongFramePassesIfItsLengthWasAnnounced) {
  const std::string header = "\0\x40\x01\0\0\0\0\0\x01"s;  // DATA of 16385 bytes
  const std::string frame = header + std::string(16385, 'x');
  Http2Goodbye strict;
  EXPECT_STATUS(strict.OnBytes(kStart + frame), kDataLoss, "too long (16385 bytes, at most 16384");
  Http2GoodbyeLimits limits;
  limits.frame_bytes = 16385;
  Http2Goodbye goodbye(limits);
  EXPECT_OK(goodbye.OnBytes(kStart + frame + Headers(3)));
  goodbye.OnAsk(Ask::kCloseNow, kNow);
  EXPECT_EQ(goodbye.TakeBytes(), GoAway(3));
}

// ---- What is no HTTP/2

struct Broken {
  std::string bytes;
  std::string reason;
};

TEST(Http2GoodbyeTest, WhatIsNoHttp2IsRefusedAndStaysSo) {
  const Broken all[] = {
      {"GET / HTTP/1.1\r\n", "no preface"},
      {"PRI * HTTP/2.0\r\n\r\nXX", "no preface"},
      {kStart + "\0\0\0\x01\x04\0\0\0\0"s, "HEADERS on stream 0 (a client's are odd)"},
      {kStart + "\0\0\0\x01\x04\0\0\0\x02"s, "HEADERS on stream 2 (a client's are odd)"},
      {kStart + "\0\0\x04\x03\0\0\0\0\0\0\0\0\x08"s, "RST_STREAM on stream 0"},
      {kStart + "\0\0\x05\x03\0\0\0\0\x01\0\0\0\0\x08"s, "RST_STREAM of 5 bytes (must be 4)"},
      {kStart + "\0\0\x08\x06\0\0\0\0\x01zdd.bye1"s, "PING on stream 1 (must be 0)"},
      {kStart + "\0\0\x07\x06\0\0\0\0\0zdd.bye"s, "PING of 7 bytes (must be 8)"},
      {kStart + "\xff\xff\xff\0\0\0\0\0\x01"s, "too long (16777215 bytes"},
  };
  for (const Broken& broken : all) {
    for (size_t size = 1; size <= broken.bytes.size(); ++size) {
      Http2Goodbye goodbye;
      absl::Status status;
      for (absl::string_view piece : Cut(broken.bytes, size)) status = goodbye.OnBytes(piece);
      EXPECT_STATUS(status, kDataLoss, "read HTTP/2 frame: " + broken.reason);
      EXPECT_STATUS(goodbye.OnBytes(Headers(1)), kDataLoss, broken.reason);
      goodbye.OnAsk(Ask::kCloseNow, kNow);  // and the drain goes on
      EXPECT_EQ(goodbye.TakeBytes(), GoAway(0));
      EXPECT_TRUE(goodbye.done());
    }
  }
}

TEST(Http2GoodbyeTest, TooManyOpenStreamsAreRefused) {
  Http2GoodbyeLimits limits;
  limits.open_streams = 2;
  Http2Goodbye goodbye(limits);
  EXPECT_OK(goodbye.OnBytes(kStart + Headers(1) + Headers(3)));
  goodbye.OnStreamEnded(1);
  EXPECT_OK(goodbye.OnBytes(Headers(5)));
  EXPECT_STATUS(goodbye.OnBytes(Headers(7)), kResourceExhausted,
                "begin HTTP/2 stream 7: too many are open (at most 2)");
  EXPECT_STATUS(goodbye.OnBytes(""), kResourceExhausted, "stream 7");
}

}  // namespace
}  // namespace zdd
