// Two processes, one of them stopped or killed at each of its steps. What clients lose is exactly
// what the dead had for its own; who was only frozen costs nobody a connection.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/migration/migration_pair.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "zdd/base/time.h"

namespace zdd {
namespace {

constexpr int kConnections = 40;

// Sends itself a signal at the n-th send or receive, before or after the kernel did it.
class DeadlySyscalls : public Syscalls {
 public:
  DeadlySyscalls(int step, int signal) : step_(step), signal_(signal) {}
  ssize_t SendMsg(int fd, const msghdr* message, int flags) override {
    Step();
    const ssize_t result = Syscalls::SendMsg(fd, message, flags);
    const int error = errno;
    Step();
    errno = error;
    return result;
  }
  ssize_t RecvMsg(int fd, msghdr* message, int flags) override {
    Step();
    const ssize_t result = Syscalls::RecvMsg(fd, message, flags);
    const int error = errno;
    Step();
    errno = error;
    return result;
  }

 private:
  void Step() {
    if (--step_ == 0) kill(getpid(), signal_);
  }
  int step_;
  const int signal_;
};

void Await(int fd, Instant next) {
  pollfd entry = {fd, POLLIN, 0};
  const absl::Duration wait = std::min(next - MonotonicNow(), absl::Milliseconds(10));
  poll(&entry, 1, std::max(0, static_cast<int>(absl::ToInt64Milliseconds(wait))));
}

using Look = std::function<bool()>;  // true: the other one is dead

// Turns the sender until nothing is on its way, and greets what came home.
void TurnSender(MigrationPair* pair, const Look& peer_is_dead) {
  while (pair->sender->pending() > 0) {
    if (peer_is_dead()) pair->sender->PeerDied();
    Await(pair->sender->poll_fd(), pair->sender->Tick(MonotonicNow()));
  }
  for (auto& one : pair->returned) MigrationPair::Greet(one.migrant, "P");
}

// Turns the receiver until the pair has ended; what arrives is greeted. False: it took too long.
bool TurnReceiver(MigrationPair* pair, const Look& peer_is_dead) {
  const Instant limit = MonotonicNow() + absl::Seconds(10);
  while (pair->receiver->open() && MonotonicNow() < limit) {
    if (peer_is_dead()) pair->receiver->PeerDied();
    const Instant next = pair->receiver->Tick(MonotonicNow());
    pair->TakeUp();
    Await(pair->receiver->wants_read() ? pair->receiver->poll_fd() : -1, next);
  }
  return !pair->receiver->open();
}

struct Tally {
  int by_sender = 0;
  int by_receiver = 0;
  int lost = 0;
};

// What each client heard, once both have finished.
Tally Ask(MigrationPair* pair) {
  Tally tally;
  for (const auto& [number, client] : pair->clients) {
    pollfd entry = {client.get(), POLLIN, 0};
    poll(&entry, 1, 5000);
    const std::string heard = pair->Heard(number);
    EXPECT_THAT(heard, ::testing::MatchesRegex("[PS]?(CLOSED|RESET)?")) << number;
    if (heard == "P") {
      ++tally.by_sender;
    } else if (heard == "S") {
      ++tally.by_receiver;
    } else {
      ++tally.lost;
    }
  }
  return tally;
}

bool NoDeath() { return false; }

// A child that does its part, says so, and lives on: only its death by `signal` closes anything.
class Partner {
 public:
  explicit Partner(absl::FunctionRef<void()> part) {
    int done[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, done), 0);
    ours_ = OwnedFd(done[0]);
    OwnedFd theirs(done[1]);
    child_ = std::make_unique<ForkedChild>([&] {
      ours_.Reset();
      part();
      char byte = 0;
      if (write(theirs.get(), &byte, 1) != 1) return 1;
      while (read(theirs.get(), &byte, 1) > 0) {
      }
      return 0;
    });
  }

  bool IsDead() const { return Is(WEXITED); }
  bool IsStopped() const { return Is(WSTOPPED); }
  void Continue() { child_->Signal(SIGCONT); }
  // Until its part is done, or it is dead: then false.
  bool Await() {
    char byte;
    if (read(ours_.get(), &byte, 1) == 1) return true;
    while (!IsDead()) poll(nullptr, 0, 1);  // its descriptors are closed a little earlier
    return false;
  }
  // 0, or minus the signal that killed it.
  int End() {
    ours_.Reset();
    return child_->Wait();
  }

 private:
  bool Is(int state) const {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(child_->pid()), &info, state | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child_->pid();
  }

  OwnedFd ours_;
  std::unique_ptr<ForkedChild> child_;
};

class MigrationProcessTest : public ::testing::Test {
 protected:
  static std::vector<Migrant> Make(MigrationPair* pair) {
    pair->accept = [](const BatchItem& item) {
      return item.age == absl::Seconds(7) ? absl::NotFoundError("7") : absl::OkStatus();
    };
    pair->on_delivered = [](const Migrant& migrant) { MigrationPair::Greet(migrant, "S"); };
    std::vector<Migrant> migrants;
    for (int i = 0; i < kConnections; ++i)
      migrants.push_back(pair->Make(std::string(i % 9 == 0 ? 9000 : 10, 'x')));
    return migrants;
  }

  // What a partner inherited by the fork and is not its own.
  static void DropClients(MigrationPair* pair) { pair->clients.clear(); }

  FdAudit audit_;
};

TEST_F(MigrationProcessTest, AReceiverKilledAtAnyStepTakesOnlyWhatItHadAcknowledged) {
  int step = 1;
  for (bool died = true; died && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    DeadlySyscalls deadly(step, SIGKILL);
    MigrationPair pair(SenderLimits(), Syscalls::Real(), deadly);
    for (Migrant& migrant : Make(&pair)) pair.Add(std::move(migrant));
    pair.sender->Tick(MonotonicNow());
    Partner partner([&] {
      DropClients(&pair);
      pair.sender.reset();
      TurnReceiver(&pair, NoDeath);
    });
    pair.receiver.reset();
    TurnSender(&pair, [&] { return partner.IsDead(); });
    pair.sender.reset();
    died = !partner.Await();
    const Tally tally = Ask(&pair);
    EXPECT_EQ(tally.lost, died ? pair.moved : 0);
    EXPECT_EQ(tally.by_sender, static_cast<int>(pair.returned.size()));
    EXPECT_EQ(partner.End(), died ? -SIGKILL : 0);
  }
  EXPECT_GT(step, 15);
  std::cout << step << " steps\n";
}

TEST_F(MigrationProcessTest, AReceiverFrozenAtAnyStepCostsNobodyAConnection) {
  int step = 1;
  for (bool froze = true; froze && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    DeadlySyscalls deadly(step, SIGSTOP);
    MigrationPair pair(SenderLimits(), Syscalls::Real(), deadly);
    for (Migrant& migrant : Make(&pair)) pair.Add(std::move(migrant));
    pair.sender->Tick(MonotonicNow());
    Partner partner([&] {
      DropClients(&pair);
      pair.sender.reset();
      TurnReceiver(&pair, NoDeath);
    });
    pair.receiver.reset();
    const Instant began = MonotonicNow();
    TurnSender(&pair, NoDeath);
    EXPECT_LT(MonotonicNow() - began, absl::Seconds(2));
    pair.sender.reset();
    froze = false;
    for (int i = 0; i < 100 && !froze && !partner.IsDead(); ++i) {
      froze = partner.IsStopped();
      if (!froze && i > 20) break;
      poll(nullptr, 0, 1);
    }
    partner.Continue();
    EXPECT_TRUE(partner.Await());
    const Tally tally = Ask(&pair);
    EXPECT_EQ(tally.lost, 0);
    EXPECT_EQ(tally.by_receiver, pair.moved);
    EXPECT_EQ(tally.by_sender, static_cast<int>(pair.returned.size()));
    EXPECT_EQ(partner.End(), 0);
  }
  EXPECT_GT(step, 15);
  std::cout << step << " steps\n";
}

// The sender is the child; it begins when the receiver does. With `revokes` it takes everything
// back at once.
void ChildSends(MigrationPair* pair, std::vector<Migrant>* migrants, bool revokes) {
  pair->clients.clear();
  pair->receiver.reset();
  for (Migrant& migrant : *migrants) pair->sender->Add(std::move(migrant), MonotonicNow());
  pair->sender->Tick(MonotonicNow());
  if (revokes) pair->sender->Revoke("at once");
  TurnSender(pair, NoDeath);
  pair->sender.reset();
}

class SenderProcessTest : public MigrationProcessTest,
                          public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Revokes, SenderProcessTest, ::testing::Bool());

TEST_P(SenderProcessTest, KilledAtAnyStepItLeavesEachConnectionToOneOrToNobody) {
  int step = 1;
  for (bool died = true; died && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    DeadlySyscalls deadly(step, SIGKILL);
    MigrationPair pair(SenderLimits(), deadly);
    std::vector<Migrant> migrants = Make(&pair);
    Partner partner([&] { ChildSends(&pair, &migrants, GetParam()); });
    migrants.clear();
    pair.sender.reset();
    EXPECT_TRUE(TurnReceiver(&pair, [&] { return partner.IsDead(); }));
    died = !partner.Await();
    const Tally tally = Ask(&pair);
    EXPECT_EQ(tally.by_receiver, static_cast<int>(pair.delivered.size()));
    EXPECT_EQ(tally.by_sender, died ? 0 : kConnections - tally.by_receiver);
    EXPECT_EQ(partner.End(), died ? -SIGKILL : 0);
    pair.delivered.clear();
  }
  EXPECT_GT(step, 8);
  std::cout << step << " steps\n";
}

TEST_P(SenderProcessTest, FrozenAtAnyStepItCostsNobodyAConnection) {
  int step = 1;
  for (bool froze = true; froze && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    DeadlySyscalls deadly(step, SIGSTOP);
    MigrationPair pair(SenderLimits(), deadly);
    std::vector<Migrant> migrants = Make(&pair);
    Partner partner([&] { ChildSends(&pair, &migrants, GetParam()); });
    migrants.clear();
    pair.sender.reset();
    froze = false;
    EXPECT_TRUE(TurnReceiver(&pair, [&] {
      if (!partner.IsStopped()) return false;
      if (std::exchange(froze, true)) partner.Continue();  // 10 ms later
      return false;
    }));
    if (!froze && partner.IsStopped()) froze = true;
    partner.Continue();
    EXPECT_TRUE(partner.Await());
    const Tally tally = Ask(&pair);
    EXPECT_EQ(tally.lost, 0);
    EXPECT_EQ(tally.by_receiver, static_cast<int>(pair.delivered.size()));
    EXPECT_EQ(partner.End(), 0);
  }
  EXPECT_GT(step, 8);
  std::cout << step << " steps\n";
}

}  // namespace
}  // namespace zdd
