// The one race that decides who owns: an acknowledgement against shutdown(SHUT_RD). Two threads,
// each with one end; whatever the order, they agree.
#include <sched.h>
#include <sys/socket.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/unit/migration/migration_pair.h"
#include "tests/util/fd_audit.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

// Runs `ours` and `theirs` at the same time, as nearly as it goes, again and again. Whoever came
// first waits a little longer the next time, so that each wins about half of the rounds.
class Race {
 public:
  // `step`: of that wait, in turns of an empty loop.
  Race(int step, absl::FunctionRef<void()> theirs)
      : step_(step), theirs_(theirs), thread_([this] {
          for (int round = 1; Await(round); ++round) {
            Spin(delay_);
            theirs_();
            ++finished_;
          }
        }) {}
  ~Race() {
    started_ = -1;
    thread_.join();
  }

  void Run(absl::FunctionRef<void()> ours) {
    const int round = ++started_;
    Spin(-delay_);
    ours();
    while (finished_ < round) sched_yield();
  }
  void TheirsWasFirst(bool first) { delay_ += first ? step_ : -step_; }

 private:
  // False: there are no more.
  bool Await(int round) {
    while (started_ >= 0 && started_ < round) sched_yield();
    return started_ >= 0;
  }
  static void Spin(int count) {
    for (int i = 0; i < count; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  const int step_;
  absl::FunctionRef<void()> theirs_;
  std::atomic<int> started_{0};
  std::atomic<int> finished_{0};
  std::atomic<int> delay_{0};
  std::thread thread_;  // the last: it uses the others
};

TEST(MigrationRace, AnAcknowledgementThatWasSentIsReadAfterTheShutdown) {
  constexpr int kRounds = 5000;
  FdAudit audit;
  FdChannel* theirs = nullptr;
  bool sent = false;
  int won = 0;
  int disagreements = 0;
  const auto acknowledge = [&] { sent = theirs->Send("ack").kind == SendResult::kSent; };
  Race race(200, acknowledge);
  for (int round = 0; round < kRounds; ++round) {
    absl::StatusOr<FdChannel::Ends> pair = FdChannel::Pair();
    theirs = &pair->theirs;
    bool read = false;
    race.Run([&] {
      shutdown(pair->ours.fd(), SHUT_RD);
      read = pair->ours.Receive().kind == Received::kFrame;
    });
    race.TheirsWasFirst(read);
    won += read ? 1 : 0;
    disagreements += read != sent ? 1 : 0;
  }
  EXPECT_EQ(disagreements, 0);
  std::cout << won << " of " << kRounds << " acknowledgements came first\n";
}

TEST(MigrationRace, BothEndsAgreeWhoOwns) {
  constexpr int kRounds = 500;
  FdAudit audit;
  MigrationPair* pair = nullptr;
  int moved = 0;
  int disagreements = 0;
  const auto take = [&] {
    while (pair->receiver->open() && pair->delivered.empty()) pair->TickReceiver();
  };
  Race race(1000, take);
  for (int round = 0; round < kRounds; ++round) {
    MigrationPair both;
    both.Add();
    both.TickSender();
    both.sender->Revoke("race");
    pair = &both;
    race.Run([&] {
      while (both.sender->pending() > 0) both.TickSender();
    });
    race.TheirsWasFirst(both.moved == 1);
    moved += both.moved;
    const size_t owners = both.delivered.size() + both.returned.size();
    if (owners != 1 || both.moved != static_cast<int>(both.delivered.size())) ++disagreements;
  }
  EXPECT_EQ(disagreements, 0);
  std::cout << moved << " of " << kRounds << " moved\n";
}

}  // namespace
}  // namespace zdd
