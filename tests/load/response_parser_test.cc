#include "tests/load/response_parser.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Event = ResponseParser::Event;

// Feeds `text` in pieces of `size` bytes and tells what was seen: "200", "[body]", "error: why".
std::vector<std::string> Read(absl::string_view text, size_t size) {
  ResponseParser parser;
  std::vector<std::string> seen;
  std::string body;
  for (size_t at = 0; at < text.size(); at += size) {
    const std::string piece(text.substr(at, size));  // a copy: bytes of earlier pieces are gone
    absl::string_view input = piece;
    for (Event event; (event = parser.Next(&input)) != Event::kNeedMore;) {
      if (event == Event::kHead) seen.push_back(absl::StrCat(parser.head().status));
      if (event == Event::kBody) absl::StrAppend(&body, parser.body());
      if (event == Event::kEnd) seen.push_back(absl::StrCat("[", std::exchange(body, ""), "]"));
      if (event == Event::kError) {
        seen.push_back(absl::StrCat("error: ", parser.error()));
        return seen;
      }
    }
  }
  return seen;
}

std::vector<std::string> Read(absl::string_view text) { return Read(text, text.size()); }

std::string Error(absl::string_view text) {
  const std::vector<std::string> seen = Read(text);
  return seen.empty() ? "" : seen.back();
}

constexpr absl::string_view kPipeline =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Version: v7\r\n\r\nhello"
    "HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n"
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    "3\r\nabc\r\n1A;why=not\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n"
    "HTTP/1.1 204 No Content\r\n\r\n";

TEST(ResponseParserTest, ReadsResponsesThatFollowEachOtherInPiecesOfEverySize) {
  for (size_t size = 1; size <= kPipeline.size(); ++size) {
    EXPECT_THAT(Read(kPipeline, size), ElementsAre("200", "[hello]", "404", "[]", "200",
                                                   "[abcabcdefghijklmnopqrstuvwxyz]", "204", "[]"))
        << "in pieces of " << size;
  }
}

TEST(ResponseParserTest, TellsVersionLengthAndWhetherTheConnectionWillClose) {
  ResponseParser parser;
  absl::string_view input = kPipeline;
  ASSERT_EQ(parser.Next(&input), Event::kHead);
  EXPECT_EQ(parser.head().version, "v7");
  EXPECT_EQ(parser.head().content_length, 5);
  EXPECT_FALSE(parser.head().close);
  int heads = 1;
  while (heads < 3) heads += parser.Next(&input) == Event::kHead;
  EXPECT_TRUE(parser.head().close);
  EXPECT_TRUE(parser.head().chunked);
  EXPECT_EQ(parser.head().version, "") << "the version of an earlier response";
}

TEST(ResponseParserTest, FindsCloseAmongOtherWordsInAnyCase) {
  ResponseParser parser;
  absl::string_view input = "HTTP/1.1 204 x\r\nCONNECTION: Upgrade , Close\r\n\r\n";
  ASSERT_EQ(parser.Next(&input), Event::kHead);
  EXPECT_TRUE(parser.head().close);
}

TEST(ResponseParserTest, LeavesTheBytesAfterAnUpgradeToTheNewProtocol) {
  ResponseParser parser;
  absl::string_view input = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nraw";
  ASSERT_EQ(parser.Next(&input), Event::kHead);
  ASSERT_EQ(parser.Next(&input), Event::kEnd);
  EXPECT_EQ(input, "raw");
}

TEST(ResponseParserTest, GivesTheBodyAsItComes) {
  ResponseParser parser;
  absl::string_view input = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n0000";
  ASSERT_EQ(parser.Next(&input), Event::kHead);
  ASSERT_EQ(parser.Next(&input), Event::kBody);
  EXPECT_EQ(parser.body(), "0000");
  EXPECT_EQ(parser.Next(&input), Event::kNeedMore);
}

TEST(ResponseParserTest, RefusesWhatIsNoResponse) {
  EXPECT_THAT(Error("HTTP/1.0 200 OK\r\n"), HasSubstr("no status line"));
  EXPECT_THAT(Error("HTTP/1.1 20 OK\r\n"), HasSubstr("no status line"));
  EXPECT_THAT(Error("HTTP/1.1 2000\r\n"), HasSubstr("no status line"));
  EXPECT_THAT(Error("\r\n"), HasSubstr("no status line"));
  EXPECT_THAT(Error("HTTP/1.1 200 OK\n"), HasSubstr("without CR"));
  EXPECT_THAT(Error("HTTP/1.1 100 Continue\r\n\r\n"), HasSubstr("interim"));
}

TEST(ResponseParserTest, RefusesHeadersThatAreNotWellFormed) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  EXPECT_THAT(Error(head + "no colon\r\n"), HasSubstr("no header"));
  EXPECT_THAT(Error(head + "Name : x\r\n"), HasSubstr("no header"));
  EXPECT_THAT(Error(head + "A: x\r\n folded\r\n"), HasSubstr("no header"));
  EXPECT_THAT(Error(head + "Content-Length: 5\r\nContent-Length: 5\r\n"),
              HasSubstr("second Content-Length"));
  EXPECT_THAT(Error(head + "Content-Length: -5\r\n"), HasSubstr("no number"));
  EXPECT_THAT(Error(head + "Content-Length: 99999999999999999999\r\n"), HasSubstr("no number"));
  EXPECT_THAT(Error(head + "Transfer-Encoding: gzip\r\n"), HasSubstr("unknown Transfer-Encoding"));
  EXPECT_THAT(Error(head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
              HasSubstr("both"));
}

TEST(ResponseParserTest, RefusesABodyWhoseEndCouldNotBeToldFromACut) {
  EXPECT_THAT(Error("HTTP/1.1 200 OK\r\n\r\n"), HasSubstr("unsaid length"));
}

TEST(ResponseParserTest, RefusesChunksThatAreNotWellFormed) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(Error(head + "x\r\n"), HasSubstr("no chunk size"));
  EXPECT_THAT(Error(head + "\r\n"), HasSubstr("no chunk size"));
  EXPECT_THAT(Error(head + "0x3\r\n"), HasSubstr("no chunk size"));
  EXPECT_THAT(Error(head + "1234567890123456\r\n"), HasSubstr("no chunk size"));
  EXPECT_THAT(Error(head + "3\r\nabcd\r\n"), HasSubstr("longer than its size"));
}

TEST(ResponseParserTest, HasLimits) {
  EXPECT_THAT(Error("HTTP/1.1 200 " + std::string(ResponseParser::kLineBytesMax, 'x')),
              HasSubstr("too long"));
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i <= ResponseParser::kHeaderCountMax; ++i) many += "A: b\r\n";
  EXPECT_THAT(Error(many), HasSubstr("too many headers"));
}

TEST(ResponseParserTest, StaysBrokenAfterAnError) {
  ResponseParser parser;
  absl::string_view input = "nonsense\r\nHTTP/1.1 204 x\r\n\r\n";
  ASSERT_EQ(parser.Next(&input), Event::kError);
  EXPECT_EQ(parser.Next(&input), Event::kError);
}

}  // namespace
}  // namespace zdd
