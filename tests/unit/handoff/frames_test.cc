#include "zdd/handoff/frames.h"

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

using ::testing::HasSubstr;

OfferedSocket Http() {
  OfferedSocket socket;
  socket.listener = "http";
  socket.asked = "tcp://0.0.0.0:0";
  socket.bound = "tcp://0.0.0.0:8080";
  socket.backlog = 4096;
  return socket;
}

OfferedSocket Local() {
  OfferedSocket socket;
  socket.listener = "local";
  socket.asked = "unix:run/100%25.sock";
  socket.bound = "unix:run/100%25.sock";
  socket.index = 1;
  socket.file = FileIdentity{2049, 18446744073709551615u};
  socket.exclusive = true;
  socket.dual_stack = false;
  socket.device = "eth0";
  return socket;
}

OfferedSocket Control() {
  OfferedSocket socket = Local();
  socket.listener = std::string(kControlName);
  socket.kind = SocketKind::kDatagram;
  return socket;
}

// One of each, every field with a value that is not its default.
std::vector<Frame> EachFrame() {
  const std::string bytes("not utf-8: \xff\x00%\n\"", 16);
  return {
      HelloFrame{{1, 7}, "shop", "2.1.0", "a1b2c3", 4121, {"migrate", "lanes"}, 1000},
      WelcomeFrame{1, 3, 4120, "2.0.9", 2, 2, 3, absl::Seconds(5), absl::Seconds(30),
                   absl::Milliseconds(1500), 900},
      OfferFrame{{Http(), Local(), Control()}, true},
      OfferAckFrame{},
      PreparedFrame{{"http", "admin"}, {Http()}, true},
      AcceptFrame{},
      AcceptingFrame{},
      ReleaseFrame{true},
      ServingFrame{},
      DrainingFrame{{{1, 4000, "1.9", true}, {2, 0, "2.0", false}}},
      AbortFrame{bytes},
      FailFrame{"readiness check \"db\": connection refused"},
      WishFrame{},
      BusyFrame{4122, "standby", absl::Milliseconds(1250)},
      RefusedFrame{"no protocol in common"},
      ReadsFrame{"http", {"chat/2", "chat/1"}},
      PairFrame{},
      PingFrame{},
  };
}

std::string ErrorOf(absl::string_view bytes, int fd_count = 0) {
  const absl::StatusOr<Frame> frame = Decode(bytes, fd_count);
  if (frame.ok()) return absl::StrCat("decoded a ", FrameName(*frame));
  EXPECT_EQ(frame.status().code(), absl::StatusCode::kDataLoss);
  return std::string(frame.status().message());
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Frames, EachOneComesBackAsItWent) {
  for (const Frame& frame : EachFrame()) {
    const absl::StatusOr<Frame> back = Decode(Encode(frame), FdCount(frame));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, frame) << Encode(frame);
  }
}

TEST(Frames, RecordedFramesOfProtocol1KeepTheirMeaning) {
  ASSERT_EQ(EachFrame().size(), std::variant_size_v<Frame>);
  for (const Frame& frame : EachFrame()) {
    const std::string recorded =
        Contents(absl::StrCat("tests/unit/handoff/golden/", FrameName(frame), ".json"));
    const absl::StatusOr<Frame> decoded = Decode(recorded, FdCount(frame));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, frame) << "now it is " << Encode(frame);
  }
}

TEST(Frames, FieldsOfALaterVersionAreIgnored) {
  const absl::StatusOr<Frame> frame =
      Decode(R"({"type":"release","wish":true,"urgency":{"level":[9]}})", 0);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(*frame, Frame(ReleaseFrame{true}));
}

TEST(Frames, AnUnknownFrameIsAnErrorThatNamesIt) {
  EXPECT_EQ(ErrorOf(R"({"type":"teleport"})"),
            "decode frame: field \"type\": got \"teleport\", want a frame of protocol 1");
  EXPECT_THAT(ErrorOf(R"({"type":7})"), HasSubstr("got 7, want a frame"));
  EXPECT_THAT(ErrorOf(R"({})"), HasSubstr("got nothing, want a frame"));
}

TEST(Frames, WhatIsNoJsonObjectIsAnError) {
  EXPECT_EQ(ErrorOf(""), "decode frame: got no JSON (0 bytes), want a JSON object");
  EXPECT_THAT(ErrorOf("{\"type\":\"ping\""), HasSubstr("got no JSON"));
  EXPECT_THAT(ErrorOf("{\"type\":\"ping\"}x"), HasSubstr("got no JSON"));
  EXPECT_THAT(ErrorOf("{\"type\":\"\xff\"}"), HasSubstr("got no JSON"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("got a list (2 bytes)"));
  EXPECT_THAT(ErrorOf(std::string(kChunkBytesMax, '[')), HasSubstr("got no JSON"));
}

TEST(Frames, WhatExceedsTheLimitOfAChunkIsNotEvenParsed) {
  EXPECT_EQ(ErrorOf(std::string(kChunkBytesMax + 1, ' ')),
            "decode frame: got 49153 bytes, want at most 49152");
}

TEST(Frames, AnErrorSaysWhichFieldAndWhatWouldBeRight) {
  EXPECT_EQ(ErrorOf(R"({"type":"release"})"),
            "decode release frame: field \"wish\": got nothing, want a value: the field is "
            "required");
  EXPECT_EQ(ErrorOf(R"({"type":"release","wish":1})"),
            "decode release frame: field \"wish\": got 1, want true or false");
  EXPECT_EQ(ErrorOf(R"({"type":"abort","reason":null})"),
            "decode abort frame: field \"reason\": got null, want a text of at most 2000 bytes");
  EXPECT_EQ(ErrorOf(R"({"type":"abort","reason":"50%"})"),
            "decode abort frame: field \"reason\": got \"50%\", want two hexadecimal digits behind "
            "each %");
  EXPECT_EQ(ErrorOf(R"({"type":"offer","sockets":{},"last":true})"),
            "decode offer frame: field \"sockets\": got an object, want a list");
}

TEST(Frames, AnErrorNamesTheEntryOfAList) {
  std::string bytes = Encode(OfferFrame{{Http(), Local()}, true});
  const std::string index = "\"index\":1";
  bytes.replace(bytes.find(index), index.size(), "\"index\":64");
  EXPECT_EQ(ErrorOf(bytes, 2),
            "decode offer frame: field \"sockets[1].index\": got 64, want 0 to 63");
}

TEST(Frames, NumbersAreNotRoundedWrappedOrGuessed) {
  const auto busy = [](absl::string_view pid) {
    return absl::StrCat(R"({"type":"busy","state":"standby","retry_after_ms":0,"pid":)", pid, "}");
  };
  EXPECT_EQ(Decode(busy("7"), 0).status(), absl::OkStatus());
  for (absl::string_view wrong : {"-1", "2147483648", "4294967297", "9223372036854775807",
                                  "18446744073709551615", "1.5", "1e3", "\"7\"", "true"}) {
    EXPECT_THAT(ErrorOf(busy(wrong)),
                HasSubstr(absl::StrCat("\"pid\": got ", wrong == "1e3" ? "1000.0" : wrong,
                                       ", want 0 to 2147483647")));
  }
}

TEST(Frames, ALongWrongValueIsShownInPart) {
  const std::string error =
      ErrorOf(absl::StrCat(R"({"type":"release","wish":")", std::string(9000, 'x'), "\"}"));
  EXPECT_THAT(error, HasSubstr("... (9002 bytes), want true or false"));
  EXPECT_LT(error.size(), 200u);
}

TEST(Frames, DescriptorsMustBeAsManyAsTheFrameSays) {
  const std::string offer = Encode(OfferFrame{{Http(), Local()}, true});
  EXPECT_EQ(ErrorOf(offer, 1), "decode offer frame: got 1 descriptors, want 2");
  EXPECT_EQ(ErrorOf(offer, 3), "decode offer frame: got 3 descriptors, want 2");
  EXPECT_EQ(ErrorOf(Encode(PingFrame()), 1), "decode ping frame: got 1 descriptors, want 0");
  EXPECT_EQ(FdCount(DrainingFrame{{{1, 1, "", true}, {2, 2, "", false}}}), 1);
  EXPECT_EQ(FdCount(WelcomeFrame()), 1) << "the token";
}

TEST(Frames, WhatIsTooLongIsCutBeforeItIsSent) {
  const AbortFrame abort{std::string(5000, 'r')};
  EXPECT_EQ(*Decode(Encode(abort), 0), Frame(AbortFrame{std::string(kReasonBytesMax, 'r')}));
  const BusyFrame patient{1, "standby", absl::InfiniteDuration()};
  EXPECT_EQ(*Decode(Encode(patient), 0), Frame(BusyFrame{1, "standby", kTimeMax}));
  const BusyFrame early{1, "standby", absl::Seconds(-1)};
  EXPECT_EQ(*Decode(Encode(early), 0), Frame(BusyFrame{1, "standby", absl::ZeroDuration()}));
}

TEST(Frames, EachOneAtItsLimitsFitsIntoOneChunk) {
  HelloFrame hello{std::vector<int>(kProtocolsMax, 2147483647), std::string(999, '\n')};
  hello.version = hello.build = hello.name;
  hello.features.assign(999, hello.name);
  EXPECT_LE(Encode(hello).size(), kChunkBytesMax);
  const OlderGeneration older{2147483647, 2147483647, hello.name, true};
  EXPECT_LE(Encode(DrainingFrame{std::vector<OlderGeneration>(999, older)}).size(), kChunkBytesMax);
  EXPECT_LE(Encode(AbortFrame{std::string(99999, '\n')}).size(), kChunkBytesMax);
}

TEST(SplitOffer, ItsLimitsAreThoseOfAChannel) {
  EXPECT_EQ(kChunkFdsMax, kFrameFdsMax);
  EXPECT_EQ(kChunkBytesMax, kFrameBytesMax);
}

TEST(SplitOffer, NothingToOfferIsOneChunkThatSaysSo) {
  EXPECT_EQ(SplitOffer({}), std::vector<OfferFrame>({{{}, true}}));
}

TEST(SplitOffer, AChunkEndsAt252Descriptors) {
  const std::vector<OfferFrame> offers =
      SplitOffer(std::vector<OfferedSocket>(kChunkFdsMax + 1, OfferedSocket()));
  ASSERT_EQ(offers.size(), 2u);
  EXPECT_EQ(offers[0].sockets.size(), kChunkFdsMax);
  EXPECT_FALSE(offers[0].last);
  EXPECT_EQ(offers[1].sockets.size(), 1u);
  EXPECT_TRUE(offers[1].last);
}

TEST(SplitOffer, AChunkEndsAt48KiBOfLongPaths) {
  std::vector<OfferedSocket> sockets;
  for (int i = 0; i < 400; ++i) {
    OfferedSocket socket = Local();
    socket.listener = absl::StrCat("listener-", i, std::string(80, '\xfe'));
    socket.asked = socket.bound = absl::StrCat("unix:", std::string(321, '%'));
    sockets.push_back(socket);
  }
  std::vector<OfferedSocket> together;
  for (const OfferFrame& offer : SplitOffer(sockets)) {
    EXPECT_EQ(offer.last, together.size() + offer.sockets.size() == sockets.size());
    EXPECT_FALSE(offer.sockets.empty());
    const std::string bytes = Encode(offer);
    EXPECT_LE(bytes.size(), kChunkBytesMax);
    EXPECT_TRUE(offer.last || bytes.size() > kChunkBytesMax * 9 / 10) << "half empty";
    EXPECT_EQ(*Decode(bytes, FdCount(offer)), Frame(offer));
    together.insert(together.end(), offer.sockets.begin(), offer.sockets.end());
  }
  EXPECT_EQ(together, sockets);
}

TEST(SplitPrepared, ManyLongClaimsGoInSeveralChunks) {
  std::vector<std::string> claims;
  claims.reserve(2000);
  for (int i = 0; i < 2000; ++i) claims.push_back(absl::StrCat(i, std::string(100, 'n')));
  std::vector<std::string> together;
  const std::vector<PreparedFrame> chunks = SplitPrepared(claims, {Http()});
  EXPECT_GT(chunks.size(), 4u);
  for (const PreparedFrame& chunk : chunks) {
    EXPECT_LE(Encode(chunk).size(), kChunkBytesMax);
    EXPECT_EQ(chunk.last, &chunk == &chunks.back());
    together.insert(together.end(), chunk.claims.begin(), chunk.claims.end());
  }
  EXPECT_EQ(together, claims);
  EXPECT_EQ(chunks.back().sockets, std::vector<OfferedSocket>({Http()}));
}

TEST(EventOf, TheMachineHearsOfAnOfferOnceItIsComplete) {
  EXPECT_EQ(EventOf(OfferFrame{{}, false}), absl::nullopt);
  EXPECT_EQ(EventOf(OfferFrame{{}, true}), Event::kOfferFrame);
  EXPECT_EQ(EventOf(PreparedFrame{{}, {}, false}), absl::nullopt);
  EXPECT_EQ(EventOf(PreparedFrame{{}, {}, true}), Event::kPreparedFrame);
}

TEST(EventOf, EachFrameEventHasAFrame) {
  std::vector<Event> events;
  for (const Frame& frame : EachFrame()) {
    if (EventOf(frame).has_value()) events.push_back(*EventOf(frame));
  }
  for (int i = 0; IsFrame(static_cast<Event>(i)); ++i)
    EXPECT_THAT(events, testing::Contains(static_cast<Event>(i)));
}

TEST(OfferFrame, KnowsWhetherTheControlSocketIsInIt) {
  EXPECT_TRUE((OfferFrame{{Http(), Control()}, true}.control()));
  EXPECT_FALSE((OfferFrame{{Http()}, true}.control()));
}

TEST(ChooseProtocol, TakesTheOneThatBothSpeak) {
  EXPECT_EQ(*ChooseProtocol({9, 1}), 1);
  EXPECT_EQ(
      ChooseProtocol({2, 3}).status(),
      absl::FailedPreconditionError("agree on a protocol: the peer speaks 2, 3, this version 1"));
}

}  // namespace
}  // namespace zdd
