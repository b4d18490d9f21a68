// The example server under every low limit of descriptors: it serves, or says why not and ends with
// code 1. It never crashes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/process/lineage.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/owned_fd.h"

extern char** environ;

namespace zdd {
namespace {

// How many the server has open when it serves, and more.
constexpr rlim_t kEnough = 32;
// A client of a server without descriptors waits in the queue.
constexpr int kClientWaitsMs = 300;

class Server {
 public:
  Server(rlim_t descriptors_max, const TempDir& dir) : socket_(dir.File("http")) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    log_reader_ = OwnedFd(ends[0]);
    const OwnedFd log_writer(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, log_writer.get(), STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    std::string words[] = {"examples/http_server/http_server",
                           "--listen=unix:" + socket_,
                           "--runtime_dir=" + dir.File("run"),
                           "--threads=1",
                           "--spread=0s",
                           "--grace=0s"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit low = {descriptors_max, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    setrlimit(RLIMIT_NOFILE, &before);
    posix_spawn_file_actions_destroy(&actions);
  }

  // Reads its log until it serves; false if it ended.
  bool AwaitServing() {
    char buffer[4096];
    for (ssize_t size; (size = read(log_reader_.get(), buffer, sizeof(buffer))) > 0;) {
      log_.append(buffer, size);
      if (absl::StrContains(log_, "is serving")) return true;
    }
    return false;
  }

  // Whether a client is answered in time.
  bool Ask() {
    const OwnedFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    if (connect(client.get(), where, sizeof(address)) != 0) return false;
    const std::string request = "GET /version HTTP/1.1\r\nHost: zdd\r\n\r\n";
    send(client.get(), request.data(), request.size(), MSG_NOSIGNAL);
    pollfd answer = {client.get(), POLLIN, 0};
    char byte;
    return poll(&answer, 1, kClientWaitsMs) == 1 && recv(client.get(), &byte, 1, 0) == 1;
  }

  // Its exit code, or minus its signal.
  int Stop() {
    kill(pid_, SIGTERM);
    return AwaitExit();
  }
  int AwaitExit() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    char buffer[4096];
    for (ssize_t size; (size = read(log_reader_.get(), buffer, sizeof(buffer))) > 0;) {
      log_.append(buffer, size);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  const std::string& log() const { return log_; }

 private:
  const std::string socket_;
  OwnedFd log_reader_;
  pid_t pid_ = 0;
  std::string log_;
};

TEST(LimitsTest, TheExampleServesOrSaysWhyNot) {
  bool answered = false;
  for (rlim_t limit = 6; limit <= kEnough; ++limit) {
    const TempDir dir;
    Server server(limit, dir);
    if (server.AwaitServing()) {
      answered = server.Ask();
      EXPECT_EQ(server.Stop(), 0) << "limit " << limit << "\n" << server.log();
    } else {
      EXPECT_EQ(server.AwaitExit(), 1) << "limit " << limit << "\n" << server.log();
      EXPECT_TRUE(absl::StrContains(server.log(), "oo many open files")) << server.log();
    }
  }
  EXPECT_TRUE(answered);
}

// A crowd of clients: as many as there are descriptors, and more that wait.
class Crowd {
 public:
  Crowd(const std::string& path, int size) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    for (int i = 0; i < size; ++i) {
      clients_.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(connect(clients_.back().get(), reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address)),
                0);
    }
  }

 private:
  std::vector<OwnedFd> clients_;
};

TEST(LimitsTest, AServerWhoseClientsHaveEveryDescriptorIsReplaced) {
  const TempDir dir;
  const std::string path = dir.File("http");
  Lineage lineage({"listen http unix:" + path, "nofile 100", "standby_ms 0"});
  pid_t owner = lineage.StartFirst({"version v1", "draining_max 9"});
  const Crowd crowd(path, 300);
  for (const char* version : {"version v2", "version v3"}) {
    lineage.Await("listener.exhausted", owner);
    lineage.Script({version});
    lineage.Signal(owner, SIGUSR2);
    lineage.Await("upgrade.promoted", owner);
    lineage.Await("owner", owner);
    owner = lineage.Await("test.started").pid;
  }
}

TEST(LimitsTest, WhoHasNoDescriptorsForAnUpgradeSaysHowManyItNeeds) {
  const TempDir dir;
  const std::string path = dir.File("http");
  Lineage lineage({"listen http unix:" + path});
  const pid_t owner = lineage.StartFirst({"version v1", "nofile 20"});
  const Crowd crowd(path, 50);
  lineage.Await("listener.exhausted", owner);
  lineage.Signal(owner, SIGUSR2);
  const TestEvent failed = lineage.Await("upgrade.rolled_back", owner);
  EXPECT_TRUE(absl::StrContains(failed.message, "an upgrade needs 16: prlimit --nofile"))
      << failed.message;
}

}  // namespace
}  // namespace zdd
