// The example of a line protocol while it replaces itself: each client hears the goodbye, idle ones
// and those with half a line too, and each line is answered once, at the second try if it crossed
// the goodbye.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/goodbye/restarted_server.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

constexpr char kGoodbye[] = "421 restarting, come back\r\n";

class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = {.sin_family = AF_INET,
                                 .sin_port = htons(static_cast<uint16_t>(port)),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const timeval limit = {30, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  // False after a reset only: what was sent into the end of a connection is lost without an error.
  bool Send(const std::string& bytes) {
    return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // The next line; "end" at the end, or what else there is.
  std::string Line() {
    std::string line;
    char byte;
    ssize_t size = 1;
    while (!absl::EndsWith(line, "\n") && (size = recv(fd_.get(), &byte, 1, 0)) > 0) line += byte;
    if (size > 0) return line;
    return absl::StrCat(line, size == 0 ? "end" : strerror(errno));
  }

 private:
  OwnedFd fd_;
};

// Says one line after the other until it is stopped, over as many connections as it takes.
class Client {
 public:
  explicit Client(int port) : port_(port) {}

  void Run() {
    while (!over_) TalkOnOneConnection();
  }
  void Stop() { over_ = true; }

  std::atomic<int> answers{0};
  std::string last_answer;
  int goodbyes = 0;
  std::vector<std::string> faults;

 private:
  void TalkOnOneConnection() {
    Connection connection(port_);
    while (!over_) {
      const std::string word = absl::StrCat("word", answers.load());
      if (!connection.Send(word + "\r\n")) return Fail("reset");
      const std::string line = connection.Line();
      if (line == kGoodbye) {
        ++goodbyes;
        const std::string end = connection.Line();
        return end == "end" ? void() : Fail(end);
      }
      if (!absl::StartsWith(line, absl::StrCat("250 hello ", word, ", "))) return Fail(line);
      ++answers;
      last_answer = line;
      poll(nullptr, 0, 1);  // leaves the machine some time
    }
  }
  void Fail(const std::string& fault) {
    faults.push_back(fault);
    over_ = true;
  }

  const int port_;
  std::atomic<bool> over_{false};
};

TEST(LineTest, EachClientHearsTheGoodbyeAndNoLineIsLost) {
  constexpr int kClients = 8;
  RestartedServer server("examples/embed/line/line", {}, {"500ms"});
  const pid_t first = server.StartFirst();
  Connection idle(server.port());
  Connection half(server.port());
  EXPECT_TRUE(half.Send("zd"));
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    threads.emplace_back([client = clients.back().get()] { client->Run(); });
  }
  for (const std::unique_ptr<Client>& client : clients) {
    while (client->answers == 0) poll(nullptr, 0, 1);
  }
  const pid_t second = server.Replace(first, 2);
  for (Connection* connection : {&idle, &half}) {
    EXPECT_EQ(connection->Line(), kGoodbye);
    EXPECT_EQ(connection->Line(), "end");
  }
  const pid_t third = server.Replace(second, 3);
  for (int i = 0; i < kClients; ++i) {
    clients[i]->Stop();
    threads[i].join();
    EXPECT_GE(clients[i]->goodbyes, 2);
    EXPECT_TRUE(absl::EndsWith(clients[i]->last_answer, ", from generation 3\r\n"));
    EXPECT_EQ(clients[i]->faults, std::vector<std::string>());
  }
  server.Stop(third);
}

}  // namespace
}  // namespace zdd
