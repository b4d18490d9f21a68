// The oracle of moving, without a socket: each conversation is held once in one piece, and then cut
// at each of its bytes, saved, loaded by a successor, and gone on with. The client must see the
// same bytes.
#include "examples/http_server/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "examples/http_server/body_digest.h"
#include "examples/http_server/state.h"

namespace example {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A server in virtual time whose conversation may move whenever it is asked to.
class Server {
 public:
  void Receive(absl::string_view bytes) {
    conversation_.OnInput(bytes);
    Go();
  }
  void EndInput() {
    conversation_.OnInputEnd();
    Go();
  }
  // `sent` of what it has to say go out. The rest is carried, if it moves then.
  void Send(size_t most) {
    std::string output = conversation_.TakeOutput();
    const size_t size = std::min(most, output.size());
    sent_ += output.substr(0, size);
    conversation_.OnSent(absl::string_view(output).substr(size));
    Go();
  }
  void Move() {
    const std::string bytes = Save(Saved());
    conversation_ = Conversation(Load(bytes).value(), "v");
    Go();
  }
  void Pass(microseconds time) {
    now_ += time;
    Go();
  }
  // Everything that it has to say, until it waits for the client.
  std::string Finish() {
    do {
      if (conversation_.due()) now_ = std::max(now_, *conversation_.due());
      Go();
      Send(SIZE_MAX);
    } while (conversation_.due() || !Saved().output.empty());
    return sent_;
  }
  State Saved() const { return conversation_.Saved(); }
  const std::string& sent() const { return sent_; }
  const Conversation& conversation() const { return conversation_; }
  void SetClosing() { closing_ = true; }

 private:
  void Go() { conversation_.Go(now_, closing_); }

  Conversation::Time now_{};
  bool closing_ = false;
  Conversation conversation_{State(), "v"};
  std::string sent_;
};

struct Talk {
  std::string name;
  std::string bytes;
};

std::vector<Talk> Talks() {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  return {
      {"OneRequest", get},
      {"Pipelined", absl::StrCat(get, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n\r\n", get,
                                 "GET /version HTTP/1.0\r\n\r\n")},
      {"Slow", absl::StrCat("GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n", get)},
      {"Upload",
       absl::StrCat("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
                    get)},
      {"ChunkedUpload",
       absl::StrCat("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: z\r\n\r\n",
                    get)},
      {"Continue",
       "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"},
      {"Stream", absl::StrCat("GET /stream?ms=30 HTTP/1.1\r\nHost: a\r\n\r\n", get)},
      {"StreamOfHttp10", "GET /stream?ms=20 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
      {"Lines", absl::StrCat("GET /lines?n=5 HTTP/1.1\r\nHost: a\r\n\r\n", get)},
      {"Head", absl::StrCat("HEAD /lines?n=5 HTTP/1.1\r\nHost: a\r\n\r\n", get)},
      {"Tunnel", "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: raw\r\n\r\nwhat comes goes back"},
      {"Refused", "GET / HTTP/1.1\r\n\r\n"},
      {"Close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
  };
}

class TalkTest : public testing::TestWithParam<Talk> {
 protected:
  TalkTest() {
    Server server;
    server.Receive(GetParam().bytes);
    expected_ = server.Finish();
    EXPECT_FALSE(expected_.empty());
  }
  std::string expected_;
};

INSTANTIATE_TEST_SUITE_P(Each, TalkTest, testing::ValuesIn(Talks()),
                         [](const auto& info) { return info.param.name; });

TEST_P(TalkTest, MovesAfterEachByteThatCame) {
  const std::string& bytes = GetParam().bytes;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Server server;
    server.Receive(absl::string_view(bytes).substr(0, cut));
    server.Move();
    server.Receive(absl::string_view(bytes).substr(cut));
    ASSERT_EQ(server.Finish(), expected_) << cut;
  }
}

TEST_P(TalkTest, MovesAfterEachByteThatWasSent) {
  for (size_t cut = 0; cut <= expected_.size(); ++cut) {
    Server server;
    server.Receive(GetParam().bytes);
    while (server.sent().size() < cut) {
      server.Send(cut - server.sent().size());
      if (server.conversation().due()) server.Pass(milliseconds(1));
    }
    server.Move();
    ASSERT_EQ(server.Finish(), expected_) << cut;
  }
}

TEST_P(TalkTest, MovesAllTheTime) {
  Server server;
  for (char byte : GetParam().bytes) {
    server.Receive({&byte, 1});
    server.Move();
    server.Send(1);
    server.Move();
    server.Pass(microseconds(10));
  }
  for (size_t i = 0; i < expected_.size() + 4'000; ++i) {
    server.Send(1);
    server.Pass(microseconds(10));
    server.Move();
  }
  EXPECT_EQ(server.sent(), expected_);
}

TEST(ConversationTest, WaitsOnlyForTheRestOfItsTimeAfterAMove) {
  Server server;
  server.Receive("GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 19; ++i) {
    server.Pass(milliseconds(1));
    server.Move();
    server.Send(SIZE_MAX);
  }
  EXPECT_EQ(server.sent(), "");
  server.Pass(milliseconds(1));
  server.Send(SIZE_MAX);
  EXPECT_TRUE(absl::EndsWith(server.sent(), "slow\n"));
}

TEST(ConversationTest, StreamsAtItsPaceWhateverMoves) {
  Server server;
  server.Receive("GET /stream?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int ms = 0; ms < 95; ms += 5) {
    server.Move();
    server.Send(SIZE_MAX);
    const std::string last = absl::StrCat("0000000", ms / 10, "\n\r\n");
    EXPECT_TRUE(absl::EndsWith(server.sent(), last)) << ms << server.sent();
    server.Pass(milliseconds(5));
  }
}

TEST(ConversationTest, SaysGoodbyeInTheResponseThatBeginsAfterwards) {
  Server server;
  server.Receive("GET /stream?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n");
  server.SetClosing();
  server.Finish();
  EXPECT_FALSE(absl::StrContains(server.sent(), "Connection: close"));
  server.Receive("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string all = server.Finish();
  EXPECT_EQ(absl::StrReplaceAll(all, {{"Connection: close", ""}}).size() + 17, all.size());
  EXPECT_TRUE(server.conversation().over());
}

TEST(ConversationTest, HoldsLittleForAClientThatDoesNotRead) {
  Server server;
  server.Receive("GET /lines?n=10000000 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_LT(Save(server.Saved()).size(), 100'000u);
  EXPECT_FALSE(server.conversation().wants_input());
  EXPECT_FALSE(server.conversation().due());
}

TEST(ConversationTest, IsIdleOnlyWhenNothingHasBegun) {
  Server server;
  EXPECT_TRUE(server.conversation().idle());
  server.Receive("G");
  EXPECT_FALSE(server.conversation().idle());
  server.Receive("ET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(server.conversation().idle());
  server.Send(SIZE_MAX);
  EXPECT_TRUE(server.conversation().idle());
  server.Receive("\r\n");
  EXPECT_TRUE(server.conversation().idle());
}

// What came from a liar may be nonsense; it is not to be trusted with more than an odd answer.
TEST(ConversationTest, SurvivesStatesThatNobodySaved) {
  for (int phase = 0; phase <= static_cast<int>(State::Phase::kEnd); ++phase) {
    State state;
    state.phase = static_cast<State::Phase>(phase);
    state.line = INT64_MAX;
    state.framing = {BodyFraming::Part::kChunkEnd, UINT64_MAX};
    state.input = "x\r\n\r\n";
    Conversation conversation(state, "v");
    conversation.Go(Conversation::Time(milliseconds(1)), false);
    conversation.OnInputEnd();
    conversation.Go(Conversation::Time(milliseconds(2)), false);
    conversation.OnSent(conversation.TakeOutput());
  }
}

}  // namespace
}  // namespace example
