#include "tests/load/exchange.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace zdd {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::unique_ptr<Exchange> Begun(LoadKind kind, uint64_t seed = 7) {
  auto exchange = MakeExchange({.kind = kind, .length = absl::Milliseconds(400)});
  exchange->Begin(seed);
  return exchange;
}

struct Sent {
  std::string bytes;
  std::vector<absl::Duration> pauses;
};

// All that it sends without an answer.
Sent SendAll(Exchange* exchange) {
  Sent sent;
  while (auto piece = exchange->Next()) {
    absl::StrAppend(&sent.bytes, piece->bytes);
    sent.pauses.push_back(piece->after);
  }
  return sent;
}

// What is wrong with this answer, or "".
std::string Answer(Exchange* exchange, absl::string_view body, int status = 200) {
  std::string wrong = exchange->OnHead({.status = status});
  for (size_t at = 0; wrong.empty() && at < body.size(); at += 7)
    wrong = exchange->OnBody(body.substr(at, 7));
  if (wrong.empty()) wrong = exchange->OnEnd();
  EXPECT_EQ(exchange->complete(), wrong.empty());
  return wrong;
}

std::string BodyOf(absl::string_view request) {
  return std::string(request.substr(request.find("\r\n\r\n") + 4));
}

std::string Lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) absl::StrAppend(&lines, absl::StrFormat("%08d\n", i));
  return lines;
}

// The N of "GET /stream?ms=N HTTP/1.1".
int Milliseconds(const std::string& request) {
  return std::stoi(request.substr(request.find('=') + 1));
}

TEST(ExchangeTest, AsksForATextAndKnowsItAgain) {
  auto exchange = Begun(LoadKind::kKeepAlive);
  EXPECT_EQ(SendAll(exchange.get()).bytes, "GET / HTTP/1.1\r\nHost: zdd\r\n\r\n");
  EXPECT_EQ(Answer(exchange.get(), "hello"), "");
  exchange->Begin(8);
  EXPECT_FALSE(exchange->complete());
  EXPECT_THAT(Answer(exchange.get(), "hullo"), AllOf(HasSubstr("hullo"), HasSubstr("hello")));
}

TEST(ExchangeTest, TakesNoEmptyBodyAndNoOtherStatus) {
  for (LoadKind kind : {LoadKind::kNew, LoadKind::kSlow, LoadKind::kUpload, LoadKind::kStream}) {
    EXPECT_NE(Answer(Begun(kind).get(), ""), "");
    EXPECT_EQ(Answer(Begun(kind).get(), "hello", 503), "status 503");
  }
}

TEST(ExchangeTest, SaysCloseOnlyWhereAConnectionIsForOneRequest) {
  for (LoadKind kind : {LoadKind::kNew, LoadKind::kLate}) {
    EXPECT_THAT(SendAll(Begun(kind).get()).bytes, HasSubstr("\r\nConnection: close\r\n"));
  }
  for (LoadKind kind :
       {LoadKind::kKeepAlive, LoadKind::kSlow, LoadKind::kUpload, LoadKind::kStream}) {
    EXPECT_THAT(SendAll(Begun(kind).get()).bytes, Not(HasSubstr("Connection: close")));
  }
}

TEST(ExchangeTest, VariesLengthsFromHalfToAll) {
  int least = 1000;
  int most = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const int ms = Milliseconds(SendAll(Begun(LoadKind::kSlow, seed).get()).bytes);
    least = std::min(least, ms);
    most = std::max(most, ms);
  }
  EXPECT_GE(least, 200);
  EXPECT_LE(least, 210);
  EXPECT_GE(most, 390);
  EXPECT_LE(most, 400);
}

TEST(ExchangeTest, UploadsInPiecesAndComparesLengthAndHash) {
  auto exchange = Begun(LoadKind::kUpload);
  const Sent sent = SendAll(exchange.get());
  const std::string body = BodyOf(sent.bytes);
  EXPECT_THAT(sent.bytes, AllOf(StartsWith("POST /upload HTTP/1.1\r\n"),
                                HasSubstr(absl::StrCat("Content-Length: ", body.size(), "\r\n"))));
  ASSERT_GE(sent.pauses.size(), 6u) << "the head, then a piece each 50 ms over 200 ms or more";
  EXPECT_EQ(sent.pauses.back(), absl::Milliseconds(50));
  EXPECT_EQ(Answer(exchange.get(), UploadAnswer(body)), "");

  exchange->Begin(7);
  SendAll(exchange.get());
  EXPECT_THAT(Answer(exchange.get(), UploadAnswer(body.substr(1))),
              HasSubstr("the answer to an upload"));
}

TEST(ExchangeTest, KnowsTheHashByItsPublishedTestVectors) {
  EXPECT_EQ(UploadAnswer(""), "0\ncbf29ce484222325\n");
  EXPECT_EQ(UploadAnswer("a"), "1\naf63dc4c8601ec8c\n");
  EXPECT_EQ(UploadAnswer("foobar"), "6\n85944171f73967e8\n");
}

TEST(ExchangeTest, TakesNoAnswerToAnUploadThatIsNotAllSent) {
  auto exchange = Begun(LoadKind::kUpload);
  exchange->Next();
  exchange->Next();
  EXPECT_THAT(Answer(exchange.get(), UploadAnswer("")), HasSubstr("answered after 1 of"));
}

TEST(ExchangeTest, CountsTheLinesOfAStream) {
  auto exchange = Begun(LoadKind::kStream);
  const int count = Milliseconds(SendAll(exchange.get()).bytes) / 10;
  EXPECT_EQ(Answer(exchange.get(), Lines(count)), "");
  for (int other : {count - 1, count + 1}) {
    exchange->Begin(7);
    EXPECT_THAT(Answer(exchange.get(), Lines(other)),
                HasSubstr(absl::StrCat(other, " of ", count)));
  }
}

TEST(ExchangeTest, TakesNoLineTwiceAndNoneOutOfOrder) {
  EXPECT_THAT(Answer(Begun(LoadKind::kStream).get(), "00000000\n00000000\n"),
              HasSubstr("not \"00000001\\n\""));
  EXPECT_THAT(Answer(Begun(LoadKind::kStream).get(), "00000001\n"),
              HasSubstr("not \"00000000\\n\""));
  EXPECT_THAT(Answer(Begun(LoadKind::kStream).get(), "000000000000000000"),
              HasSubstr("eight digits"));
}

TEST(ExchangeTest, ComparesTheLinesOfEachAnswerInAPipeline) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    auto exchange = Begun(LoadKind::kPipelined, seed);
    const Sent sent = SendAll(exchange.get());
    std::vector<int> counts;
    for (absl::string_view line : absl::StrSplit(sent.bytes, "\r\n")) {
      if (absl::ConsumePrefix(&line, "GET /lines?n="))
        counts.push_back(std::stoi(std::string(line)));
    }
    ASSERT_FALSE(counts.empty());
    for (int count : counts) {
      EXPECT_FALSE(exchange->complete());
      EXPECT_EQ(exchange->OnHead({.status = 200}), "");
      EXPECT_EQ(exchange->OnBody(Lines(count)), "");
      EXPECT_EQ(exchange->OnEnd(), "");
    }
    EXPECT_TRUE(exchange->complete());
  }
}

TEST(ExchangeTest, TakesNoAnswerOfAPipelineForAnother) {
  auto exchange = Begun(LoadKind::kPipelined);
  SendAll(exchange.get());
  EXPECT_EQ(exchange->OnHead({.status = 200}), "");
  EXPECT_EQ(exchange->OnBody(Lines(1000)), "");
  EXPECT_THAT(exchange->OnEnd(), HasSubstr("after 1000 of"));
}

TEST(ExchangeTest, APipelineEndsWithTheAnswerThatSaysClose) {
  auto exchange = Begun(LoadKind::kPipelined, 3);
  SendAll(exchange.get());
  EXPECT_EQ(exchange->OnHead({.status = 200, .close = true}), "");
  exchange->OnEnd();
  EXPECT_TRUE(exchange->complete());
}

TEST(ExchangeTest, SpeaksThroughATunnelOnlyWhenItIsOpen) {
  auto exchange = Begun(LoadKind::kTunnel);
  EXPECT_THAT(SendAll(exchange.get()).bytes,
              AllOf(StartsWith("GET /echo HTTP/1.1\r\n"), HasSubstr("\r\nUpgrade: echo\r\n"),
                    EndsWith("\r\n\r\n")));
  EXPECT_FALSE(exchange->tunnel());
  EXPECT_EQ(exchange->OnHead({.status = 101}), "");
  EXPECT_TRUE(exchange->tunnel());
  const Sent sent = SendAll(exchange.get());
  EXPECT_GE(sent.pauses.size(), 10u);
  EXPECT_EQ(exchange->OnBody(absl::string_view(sent.bytes).substr(0, 100)), "");
  EXPECT_FALSE(exchange->complete());
  EXPECT_EQ(exchange->OnBody(absl::string_view(sent.bytes).substr(100)), "");
  EXPECT_TRUE(exchange->complete());
}

TEST(ExchangeTest, ComparesEveryByteOfATunnel) {
  for (size_t at : {0, 50, 99}) {
    auto exchange = Begun(LoadKind::kTunnel);
    SendAll(exchange.get());
    EXPECT_EQ(exchange->OnHead({.status = 101}), "");
    std::string echo = SendAll(exchange.get()).bytes.substr(0, 100);
    echo[at] ^= 1;
    EXPECT_THAT(exchange->OnBody(echo), HasSubstr("came back as another"));
  }
}

TEST(ExchangeTest, TakesNoByteFromATunnelThatItDidNotSend) {
  auto exchange = Begun(LoadKind::kTunnel);
  SendAll(exchange.get());
  EXPECT_EQ(exchange->OnHead({.status = 101}), "");
  EXPECT_THAT(exchange->OnBody("x"), HasSubstr("byte 0"));
  EXPECT_EQ(Begun(LoadKind::kTunnel)->OnHead({.status = 200}), "status 200");
}

}  // namespace
}  // namespace zdd
