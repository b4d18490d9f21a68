#include "tests/goodbye/restarted_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

int FreePort() {
  OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

std::vector<std::string> Words(std::vector<std::string> before, int port,
                               const std::vector<std::string>& after) {
  before.push_back(absl::StrCat("tcp://127.0.0.1:", port));
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

int Sockets(pid_t pid) { return EmbeddedServer::FdsOf(pid)["socket:["]; }

}  // namespace

RestartedServer::RestartedServer(const std::string& program, std::vector<std::string> before,
                                 std::vector<std::string> after)
    : port_(FreePort()), server_(program, Words(std::move(before), port_, after)) {}

void RestartedServer::Await(int generation, const std::string& state) {
  server_.Await(absl::StrCat("generation ", generation, " is ", state));
}

pid_t RestartedServer::StartFirst() {
  const pid_t pid = server_.Start();
  Await(1, "serving");
  sockets_at_start_ = Sockets(pid);
  return pid;
}

pid_t RestartedServer::Replace(pid_t owner, int generation) {
  server_.Signal(owner, SIGUSR2);
  Await(generation, "accepting");
  const pid_t successor = server_.ChildOf(owner);
  Await(generation, "serving");
  EXPECT_EQ(server_.AwaitExit(owner), 0) << log();
  return successor;
}

void RestartedServer::Stop(pid_t owner) {
  server_.Signal(owner, SIGTERM);
  EXPECT_EQ(server_.AwaitExit(owner), 0) << log();
  server_.AwaitNobody();
}

void RestartedServer::AwaitConnections(pid_t pid, int count) {
  for (int i = 0; i < 30000 && Sockets(pid) < sockets_at_start_ + count; ++i) poll(nullptr, 0, 1);
  EXPECT_GE(Sockets(pid), sockets_at_start_ + count) << log();
}

}  // namespace zdd
