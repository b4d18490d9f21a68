// Sessions over real TCP connections, byte by byte, as clients of all manners send and read them.
#include "examples/http_server/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "examples/http_server/body_digest.h"
#include "examples/http_server/state.h"
#include "examples/http_server/test_client.h"
#include "zdd/drain/ticket.h"

namespace example {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr absl::string_view kText = "Hello from a server that never stops.\n";

class SessionTest : public testing::Test {
 protected:
  Client NewClient(State state = {}) {
    auto [client, server] = Connect();
    Socket socket(boost::asio::make_strand(pool_));
    socket.assign(Socket::protocol_type(AF_INET, 0), server.Release());
    StartSession(std::move(socket), zdd::Ticket(), "v7", std::move(state));
    return Client(std::move(client));
  }

  // What a client of its own gets for `request`, until the server ends the connection.
  std::string AllAnswers(absl::string_view request) {
    Client client = NewClient();
    EXPECT_TRUE(client.Send(request));
    client.EndSending();
    return client.ReadToEnd();
  }

  boost::asio::thread_pool pool_{2};
};

TEST_F(SessionTest, AnswersOneRequestAfterTheOther) {
  Client client = NewClient();
  for (int i = 0; i < 3; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::string response = client.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(response, HasSubstr("\r\nX-Version: v7\r\n"));
    EXPECT_THAT(response, EndsWith(kText));
    EXPECT_THAT(response, Not(HasSubstr("Connection:")));
  }
}

TEST_F(SessionTest, AnswersPipelinedRequestsInTheirOrder) {
  std::string answers = AllAnswers(
      "GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n"
      "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "GET /version HTTP/1.1\r\nHost: a\r\n\r\n");
  size_t slow = answers.find("\r\n\r\nslow\n");
  size_t upload = answers.find("\r\n\r\n5\na430d84680aabd0b\n");
  size_t version = answers.find(absl::StrCat("\r\n\r\nv7 ", getpid(), "\n"));
  ASSERT_NE(version, std::string::npos) << answers;
  EXPECT_LT(slow, upload);
  EXPECT_LT(upload, version);
}

TEST_F(SessionTest, TakesRequestsThatComeByteByByte) {
  Client client = NewClient();
  for (char byte :
       absl::string_view("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")) {
    ASSERT_TRUE(client.Send({&byte, 1}));
  }
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n5\na430d84680aabd0b\n"));
}

TEST_F(SessionTest, SkipsEmptyLinesBeforeARequest) {
  std::string answers = AllAnswers(
      "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
      "\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answers, HasSubstr("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(answers, Not(HasSubstr(" 400 ")));
}

TEST_F(SessionTest, TakesTargetsInTheFormThatProxiesUse) {
  EXPECT_THAT(AllAnswers("GET http://a/slow?ms=0 HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("slow\n"));
  EXPECT_THAT(AllAnswers("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith(kText));
}

TEST_F(SessionTest, AnswersHeadWithTheHeadOfGetAlone) {
  std::string get = AllAnswers("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::string head = AllAnswers("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(absl::StrCat(head, kText), get);
  std::string stream = AllAnswers("HEAD /stream?ms=30 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(stream, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(stream, EndsWith("\r\n\r\n"));
}

TEST_F(SessionTest, ReadsLargeBodies) {
  std::string body(3 << 20, 'x');
  Client client = NewClient();
  client.Send(absl::StrCat("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(),
                           "\r\n\r\n"));
  ASSERT_TRUE(client.Send(body));
  BodyDigest expected;
  expected.Update(body);
  EXPECT_THAT(client.ReadResponse(), EndsWith(absl::StrCat("\r\n\r\n", expected.ToText())));
}

TEST_F(SessionTest, ReadsChunkedBodies) {
  std::string answers = AllAnswers(
      "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: z\r\n\r\n"
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(answers, HasSubstr("\r\n\r\n5\na430d84680aabd0b\n"));
  EXPECT_THAT(answers, EndsWith(kText));
}

TEST_F(SessionTest, SaysContinueBeforeABodyThatWaitsForIt) {
  Client client = NewClient();
  client.Send(
      "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\nX-Version: v7\r\n\r\n");
  client.Send("hello");
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n5\na430d84680aabd0b\n"));
}

TEST_F(SessionTest, StreamsLinesInChunks) {
  Client client = NewClient();
  client.Send("GET /stream?ms=30 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_EQ(client.ReadUntil("\r\n0\r\n\r\n"),
            "9\r\n00000000\n\r\n9\r\n00000001\n\r\n9\r\n00000002\n\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), EndsWith(kText));
}

TEST_F(SessionTest, StreamsLinesToHttp10UntilTheEnd) {
  Client client = NewClient();
  client.Send("GET /stream?ms=20 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  std::string response = client.ReadToEnd();
  EXPECT_THAT(response, StartsWith("HTTP/1.0 200 OK\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("chunked")));
  EXPECT_THAT(response, EndsWith("\r\n\r\n00000000\n00000001\n"));
}

TEST_F(SessionTest, SendsAnyNumberOfLinesToAClientThatTakesThem) {
  Client client = NewClient();
  client.Send("GET /lines?n=20000 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(client.Read(14), absl::StrFormat("9\r\n%08d\n\r\n", i));
  }
  EXPECT_EQ(client.Read(5), "0\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), EndsWith(kText));
}

TEST_F(SessionTest, GoesOnFromAState) {
  State state;
  state.input = "lo";
  state.output = "unsent";
  state.phase = State::Phase::kBody;
  state.request.method = "POST";
  state.request.target = "/upload";
  state.framing = BodyFraming::Fixed(2);
  state.digest.Update("hel");
  Client client = NewClient(state);
  EXPECT_THAT(client.ReadResponse(),
              AllOf(StartsWith("unsentHTTP/1.1 200"), EndsWith("\r\n\r\n5\na430d84680aabd0b\n")));
}

TEST_F(SessionTest, KeepsConnectionsOfHttp10OnlyIfAsked) {
  Client client = NewClient();
  client.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), HasSubstr("\r\nConnection: keep-alive\r\n"));
  client.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith(kText));
}

TEST_F(SessionTest, KeepsTheLastResponseWholeThoughMoreRequestsLieUnread) {
  Client client = NewClient();
  std::string more(200'000, 'x');
  ASSERT_TRUE(client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(client.Send(more));
  std::string response = client.ReadToEnd();
  EXPECT_THAT(response, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(response, EndsWith(kText));
}

struct Refused {
  absl::string_view request;
  absl::string_view status;
};

TEST_F(SessionTest, RefusesWhatIsNoRequest) {
  const std::string long_head =
      absl::StrCat("GET / HTTP/1.1\r\nHost: a\r\nX: ", std::string(20'000, 'x'), "\r\n\r\n");
  const std::string long_target =
      absl::StrCat("GET /", std::string(70'000, 'x'), " HTTP/1.1\r\nHost: a\r\n\r\n");
  const Refused cases[] = {
      {"hello\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
      {"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
       "400"},
      {"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", "400"},
      {"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"},
      {"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
       "5\r\n\r\n",
       "400"},
      {"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnumber\r\n", "400"},
      {long_head, "431"},
      {long_target, "431"},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.request.substr(0, 100));
    Client client = NewClient();
    client.Send(refused.request);
    std::string response = client.ReadToEnd();
    EXPECT_THAT(response, StartsWith(absl::StrCat("HTTP/1.1 ", refused.status, " ")));
    EXPECT_THAT(response, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(response, HasSubstr("\r\nX-Version: v7\r\n"));
  }
}

TEST_F(SessionTest, RefusesChunksOfHttp10) {
  EXPECT_THAT(
      AllAnswers("POST /upload HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: keep-alive\r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
      AllOf(StartsWith("HTTP/1.0 400 "), Not(HasSubstr(" 200 ")), Not(HasSubstr("keep-alive"))));
}

TEST_F(SessionTest, GoesOnAfterARequestThatItCannotFulfil) {
  const Refused cases[] = {
      {"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found\r\n"},
      {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed\r\n"},
      {"GET /upload HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed\r\n"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
       "405 Method Not Allowed\r\n"},
      {"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request\r\n"},
      {"GET /lines?ms=1 HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request\r\n"},
      {"GET /slow?ms=-1 HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request\r\n"},
      {"GET /stream?ms=3600001 HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request\r\n"},
      {"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required\r\n"},
  };
  Client client = NewClient();
  for (const Refused& refused : cases) {
    client.Send(refused.request);
    EXPECT_THAT(client.ReadResponse(), StartsWith(absl::StrCat("HTTP/1.1 ", refused.status)));
  }
}

TEST_F(SessionTest, SaysWhichMethodsATargetTakes) {
  EXPECT_THAT(AllAnswers("PUT /upload HTTP/1.1\r\nHost: a\r\n\r\n"),
              HasSubstr("\r\nAllow: POST\r\n"));
  EXPECT_THAT(AllAnswers("PUT / HTTP/1.1\r\nHost: a\r\n\r\n"),
              HasSubstr("\r\nAllow: GET, HEAD\r\n"));
}

TEST_F(SessionTest, ClosesWhenTheClientLeavesInTheMiddle) {
  EXPECT_EQ(AllAnswers(""), "");
  EXPECT_EQ(AllAnswers("GET / HT"), "");
  EXPECT_EQ(AllAnswers("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"), "");
}

constexpr absl::string_view kUpgrade =
    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw, other\r\n\r\n";

TEST_F(SessionTest, SendsBackWhatComesThroughATunnelFromItsFirstByteOn) {
  Client client = NewClient();
  client.Send(absl::StrCat(kUpgrade, "first"));
  std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nX-Version: v7\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nConnection: Upgrade\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nUpgrade: raw\r\n"));
  EXPECT_EQ(client.Read(5), "first");
  client.Send("second");
  EXPECT_EQ(client.Read(6), "second");
  client.EndSending();
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(SessionTest, TunnelsCarryBothDirectionsAtOnce) {
  Client client = NewClient();
  client.Send(kUpgrade);
  client.ReadUntil("\r\n\r\n");
  std::string sent;
  for (int i = 0; i < 1'000'000; ++i) absl::StrAppend(&sent, i, " ");
  std::thread sender([&] {
    EXPECT_TRUE(client.Send(sent));
    client.EndSending();
  });
  std::string received = client.ReadToEnd();
  sender.join();
  EXPECT_TRUE(received == sent);
}

TEST_F(SessionTest, TunnelsDoNotReadFromAClientThatDoesNotRead) {
  Client client = NewClient();
  client.Send(kUpgrade);
  client.ReadUntil("\r\n\r\n");
  timeval limit = {.tv_sec = 0, .tv_usec = 100'000};
  setsockopt(client.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int receive_bytes = 64 << 10;
  setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  // More than the kernel's buffers hold.
  EXPECT_FALSE(client.Send(std::string(64 << 20, 'x')));
}

TEST_F(SessionTest, Http10CannotSwitchProtocols) {
  EXPECT_THAT(AllAnswers("GET /echo HTTP/1.0\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n"),
              StartsWith("HTTP/1.0 426 "));
}

}  // namespace
}  // namespace example
