// MigrationPair is both ends of a migration in one process, in virtual time, with real connections
// and clients that hold on to theirs.
//
//   MigrationPair pair;
//   pair.Add("state");
//   pair.TickSender();
//   pair.TickReceiver();
//   pair.TickSender();
//   EXPECT_EQ(pair.delivered.size(), 1u);
//
// Threads: one at a time.
#ifndef TESTS_UNIT_MIGRATION_MIGRATION_PAIR_H_
#define TESTS_UNIT_MIGRATION_MIGRATION_PAIR_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/syscalls.h"
#include "zdd/base/time.h"
#include "zdd/drain/ticket_table.h"
#include "zdd/migration/migration_receiver.h"
#include "zdd/migration/migration_sender.h"

namespace zdd {

// Sends one datagram by hand: what an end itself would refuse to send.
ssize_t SendRaw(int fd, absl::string_view bytes, const std::vector<int>& fds = {});

class MigrationPair {
 public:
  struct Returned {
    Migrant migrant;
    std::string why;
  };

  explicit MigrationPair(SenderLimits limits = SenderLimits(),
                         Syscalls& sender_calls = Syscalls::Real(),
                         Syscalls& receiver_calls = Syscalls::Real());

  // A connection, whose client stays here.
  Migrant Make(std::string state = "", std::string listener = "http");
  // One on its way; its number, by which its client goes, and which is its age in seconds.
  int Add(std::string state = "", std::string listener = "http");
  void Add(Migrant migrant) { sender->Add(std::move(migrant), now); }
  void AddMany(int count) {
    for (int i = 0; i < count; ++i) Add();
  }

  Instant TickSender() { return sender->Tick(now); }
  Instant TickReceiver() { return receiver->Tick(now); }
  // Both, in turns, while virtual time goes on, until nothing is on its way. The server takes up
  // what is delivered.
  void Settle();
  void TakeUp() {
    while (receiver->undelivered() > 0) receiver->Taken(1);
  }

  // Which of the connections ended where.
  std::vector<int> Delivered() const;
  std::vector<int> Returns() const;

  // The clients hear this from whoever serves.
  static void Greet(const Migrant& migrant, absl::string_view word);
  // What its client has heard so far; then "CLOSED" or "RESET" if that was the end.
  std::string Heard(int client);

  int64_t tickets() const { return table->Count().total; }

  std::shared_ptr<TicketTable> table = TicketTable::Create();
  Instant now = absl::Seconds(1000);
  std::map<int, OwnedFd> clients;
  std::function<absl::Status(const BatchItem&)> accept;  // null: all
  std::function<void(const Migrant&)> on_moved;          // may call the sender
  std::function<void(const Migrant&)> on_returned;
  std::function<void(const Migrant&)> on_delivered;
  int moved = 0;
  std::vector<Returned> returned;
  std::vector<Migrant> delivered;
  std::vector<absl::Status> garbage;
  std::unique_ptr<MigrationSender> sender;
  std::unique_ptr<MigrationReceiver> receiver;

 private:
  uint8_t kind_ = table->Kind("http");
};

}  // namespace zdd

#endif  // TESTS_UNIT_MIGRATION_MIGRATION_PAIR_H_
