#include "tests/unit/migration/migration_pair.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/socket_pair.h"

namespace zdd {
namespace {

int NumberOf(const Migrant& migrant) { return static_cast<int>(absl::ToInt64Seconds(migrant.age)); }

}  // namespace

ssize_t SendRaw(int fd, absl::string_view bytes, const std::vector<int>& fds) {
  iovec vector = {const_cast<char*>(bytes.data()), bytes.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::copy(fds.begin(), fds.end(), reinterpret_cast<int*>(CMSG_DATA(header)));
  }
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

MigrationPair::MigrationPair(SenderLimits limits, Syscalls& sender_calls,
                             Syscalls& receiver_calls) {
  absl::StatusOr<MigrationSender::Created> created =
      MigrationSender::Create(limits,
                              {[this](Migrant migrant) {
                                 ++moved;
                                 if (on_moved) on_moved(migrant);
                               },
                               [this](Migrant migrant, absl::string_view why) {
                                 if (on_returned) on_returned(migrant);
                                 returned.push_back({std::move(migrant), std::string(why)});
                               }},
                              sender_calls);
  EXPECT_TRUE(created.ok()) << created.status();
  sender = std::move(created->sender);
  absl::StatusOr<std::unique_ptr<MigrationReceiver>> made = MigrationReceiver::Create(
      std::move(created->theirs),
      {[this](const BatchItem& item) { return accept ? accept(item) : absl::OkStatus(); },
       [this](std::vector<Migrant> batch) {
         for (Migrant& migrant : batch) {
           if (on_delivered) on_delivered(migrant);
           delivered.push_back(std::move(migrant));
         }
       },
       [this](const absl::Status& status) { garbage.push_back(status); }},
      receiver_calls);
  EXPECT_TRUE(made.ok()) << made.status();
  receiver = *std::move(made);
}

Migrant MigrationPair::Make(std::string state, std::string listener) {
  const int number = static_cast<int>(clients.size());
  SocketPair pair = number % 2 == 0 ? TcpPair() : UnixPair();
  clients[number] = std::move(pair.client);
  Ticket ticket = table->Enter(kind_, pair.server.get());
  return {std::move(pair.server), std::move(ticket),    std::move(listener), "h1",
          std::move(state),       absl::Seconds(number)};
}

int MigrationPair::Add(std::string state, std::string listener) {
  Add(Make(std::move(state), std::move(listener)));
  return static_cast<int>(clients.size()) - 1;
}

void MigrationPair::Settle() {
  for (int i = 0; i < 2000; ++i) {
    if (sender != nullptr) TickSender();
    if (receiver != nullptr) TickReceiver();
    if (receiver != nullptr) TakeUp();
    if ((sender == nullptr || sender->pending() == 0) &&
        (receiver == nullptr || receiver->held() == 0))
      return;
    now += absl::Milliseconds(1);
  }
  ADD_FAILURE() << "does not settle";
}

std::vector<int> MigrationPair::Delivered() const {
  std::vector<int> numbers;
  for (const Migrant& migrant : delivered) numbers.push_back(NumberOf(migrant));
  return numbers;
}

std::vector<int> MigrationPair::Returns() const {
  std::vector<int> numbers;
  for (const Returned& one : returned) numbers.push_back(NumberOf(one.migrant));
  return numbers;
}

void MigrationPair::Greet(const Migrant& migrant, absl::string_view word) {
  send(migrant.fd.get(), word.data(), word.size(), MSG_NOSIGNAL);
}

std::string MigrationPair::Heard(int client) {
  std::string all;
  char buffer[256];
  for (;;) {
    const ssize_t bytes = recv(clients[client].get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (bytes == 0) return all + "CLOSED";
    if (bytes < 0) return errno == EAGAIN ? all : all + "RESET";
    all.append(buffer, static_cast<size_t>(bytes));
  }
}

}  // namespace zdd
