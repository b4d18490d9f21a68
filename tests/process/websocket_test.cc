// examples/embed/websocketpp is replaced and stopped while clients talk to it: each connection is
// told why it ends, and each message is answered, by one generation or the next.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/process/embedded_server.h"
#include "tests/util/free_address.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

std::string* program;

constexpr char kText = '\x81';
constexpr char kClose = '\x88';
constexpr char kServiceRestart[] = "\x03\xf4";  // 1012

// Sends a message, waits for its echo, thinks, sends the next one; connects again when it is told.
class Talker {
 public:
  Talker(const std::string& server, int think_ms)
      : server_(Address::Parse(server).value()), think_ms_(think_ms), thread_([this] { Run(); }) {}
  ~Talker() { Stop(); }

  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  bool Heard(const std::string& version) {
    MutexLock lock(&mutex_);
    return versions_.count(version) > 0;
  }
  // After Stop().
  const std::vector<std::string>& losses() const { return losses_; }
  int answers() const { return answers_; }
  int goodbyes() const { return goodbyes_; }

 private:
  void Run() {
    while (!stop_) {
      if (!fd_.valid() && !Open()) continue;
      if (Send(kText, absl::StrCat("message ", answers_))) TakeAnswer();
      poll(nullptr, 0, think_ms_);
    }
  }

  bool Open() {
    fd_ = OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit = {20, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd_.get(), server_.sockaddr(), server_.size()) != 0) return Lose("connect");
    const std::string head =
        "GET / HTTP/1.1\r\nHost: zdd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (send(fd_.get(), head.data(), head.size(), MSG_NOSIGNAL) < 0) return Lose("handshake");
    std::string answer;
    while (!absl::EndsWith(answer, "\r\n\r\n")) {
      if (!Read(&answer, 1)) return Lose("handshake");
    }
    return absl::StartsWith(answer, "HTTP/1.1 101 ") || Lose(answer);
  }

  // A mask of zeros is one too.
  bool Send(char type, const std::string& text) {
    std::string frame = {type, static_cast<char>(0x80 | text.size()), 0, 0, 0, 0};
    frame += text;
    return send(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) > 0 || Lose("send");
  }

  void TakeAnswer() {
    std::string frame;
    if (!Read(&frame, 2)) return (void)Lose("end of file instead of an answer");
    std::string text;
    if (!Read(&text, frame[1])) return (void)Lose("end of file in an answer");
    if (frame[0] == kClose && absl::StartsWith(text, kServiceRestart)) return SayGoodbye();
    const std::vector<std::string> parts = absl::StrSplit(text, ": ");
    if (frame[0] != kText || parts.size() != 2 || parts[1] != absl::StrCat("message ", answers_)) {
      return (void)Lose(absl::StrCat("another answer: ", text));
    }
    ++answers_;
    MutexLock lock(&mutex_);
    versions_.insert(parts[0]);
  }

  void SayGoodbye() {
    std::string rest;
    if (!Send(kClose, kServiceRestart)) return;
    while (Read(&rest, 1)) {
    }
    ++goodbyes_;
    fd_.Reset();
  }

  bool Read(std::string* bytes, size_t count) {
    std::string read(count, '\0');
    if (recv(fd_.get(), read.data(), count, MSG_WAITALL) != static_cast<ssize_t>(count)) {
      return false;
    }
    *bytes += read;
    return true;
  }

  bool Lose(const std::string& why) {
    losses_.push_back(why);
    fd_.Reset();
    poll(nullptr, 0, 5);
    return false;
  }

  const Address server_;
  const int think_ms_;
  std::atomic<bool> stop_{false};
  OwnedFd fd_;
  int answers_ = 0;
  int goodbyes_ = 0;
  std::vector<std::string> losses_;
  Mutex mutex_;
  std::set<std::string> versions_;
  std::thread thread_;
};

TEST(WebSocketTest, EachMessageIsAnsweredOverFourGenerations) {
  const std::string address = FreeAddress().value();
  EmbeddedServer server(*program, {address, "500ms"});
  pid_t owner = server.Start();
  server.Await("generation 1 is serving");
  std::vector<std::unique_ptr<Talker>> talkers;
  for (int i = 0; i < 24; ++i) talkers.push_back(std::make_unique<Talker>(address, i % 12));
  for (int i = 2; i <= 4; ++i) {
    server.Signal(owner, SIGUSR2);
    server.Await(absl::StrCat("generation ", i, " is accepting"));
    const pid_t successor = server.ChildOf(owner);
    server.Await(absl::StrCat("generation ", i, " is serving"));
    EXPECT_EQ(server.AwaitExit(owner), 0) << server.log();
    owner = successor;
    for (auto& talker : talkers) {
      for (int ms = 0; !talker->Heard(absl::StrCat(i)) && ms < 10'000; ++ms) poll(nullptr, 0, 1);
      EXPECT_TRUE(talker->Heard(absl::StrCat(i)));
    }
  }
  int answers = 0;
  int goodbyes = 0;
  for (auto& talker : talkers) {
    talker->Stop();
    EXPECT_EQ(absl::StrJoin(talker->losses(), "\n"), "") << server.log();
    answers += talker->answers();
    goodbyes += talker->goodbyes();
  }
  EXPECT_EQ(goodbyes, 3 * 24);
  EXPECT_GT(answers, 1000);
  server.Signal(owner, SIGTERM);
  EXPECT_EQ(server.AwaitExit(owner), 0) << server.log();
  server.AwaitNobody();
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  zdd::program = new std::string(argv[1]);
  return RUN_ALL_TESTS();
}
