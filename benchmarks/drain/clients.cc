#include "benchmarks/drain/clients.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr absl::string_view kRequest = "GET / HTTP/1.1\r\nHost: zdd\r\n\r\n";

absl::StatusOr<OwnedFd> Connect(const Address& address) {
  OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  if (connect(fd.get(), address.sockaddr(), address.size()) != 0)
    return ErrnoStatus(errno, "connect " + address.ToString());
  return fd;
}

// How long an answer is whose head has come whole; 0: it has not.
size_t LengthOf(absl::string_view answer) {
  const size_t head = answer.find("\r\n\r\n");
  if (head == absl::string_view::npos) return 0;
  const size_t field = answer.find("Content-Length: ");
  if (field > head) return head + 4;
  return head + 4 + static_cast<size_t>(std::atoi(answer.data() + field + 16));
}

absl::Status Ask(int fd) {
  if (send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0)
    return ErrnoStatus(errno, "send");
  std::string answer;
  for (size_t length = 0; length == 0 || answer.size() < length; length = LengthOf(answer)) {
    char bytes[1024];
    const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
    if (size <= 0) return size < 0 ? ErrnoStatus(errno, "recv") : absl::DataLossError("no answer");
    answer.append(bytes, static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<OwnedFd>> OpenIdle(const Address& address, int count) {
  std::vector<OwnedFd> clients;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<OwnedFd> client = Connect(address);
    if (!client.ok()) return client.status();
    const absl::Status answered = Ask(client->get());
    if (!answered.ok()) return answered;
    clients.push_back(*std::move(client));
  }
  return clients;
}

Askers::Askers(const Address& address, int count) : askers_(static_cast<size_t>(count)) {
  for (Asker& asker : askers_) {
    asker.thread = std::thread([this, address, &asker] { Run(address, &asker); });
  }
}

void Askers::Run(const Address& address, Asker* asker) {
  absl::StatusOr<OwnedFd> fd = Connect(address);
  asker->status = fd.status();
  while (asker->status.ok() && !stopped_) {
    const Instant asked = MonotonicNow();
    asker->status = Ask(fd->get());
    asker->answers.push_back({asked, MonotonicNow()});
    absl::SleepFor(kRest);
  }
}

void Askers::Stop() {
  if (stopped_.exchange(true)) return;
  for (Asker& asker : askers_) {
    asker.thread.join();
    status_.Update(asker.status);
  }
}

absl::optional<absl::Duration> Askers::P99(Instant from, Instant to) const {
  std::vector<absl::Duration> took;
  for (const Asker& asker : askers_) {
    for (const Answered& one : asker.answers) {
      if (one.answered >= from && one.asked <= to) took.push_back(one.answered - one.asked);
    }
  }
  if (took.size() < 50) return absl::nullopt;
  const size_t at = took.size() * 99 / 100;
  std::nth_element(took.begin(), took.begin() + static_cast<ptrdiff_t>(at), took.end());
  return took[at];
}

}  // namespace zdd
