#include "tests/goodbye/restarted_server.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/util/free_address.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

int FreePort() {
  const absl::StatusOr<std::string> text = FreeAddress();
  EXPECT_TRUE(text.ok()) << text.status();
  const absl::StatusOr<Address> address = Address::Parse(*text);
  EXPECT_TRUE(address.ok()) << address.status();
  return address->port();
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
