// 100,000 connections at once: of several services, as a process may have 20,000 descriptors here,
// and of clients in processes of their own.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/drain/clients.h"
#include "benchmarks/drain/drain.h"
#include "benchmarks/drain/server.h"
#include "tests/util/free_address.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

constexpr int kServices = 8;
constexpr int kEach = 12500;
constexpr double kBarMs = 1500;

// Holds its connections until it is killed, or we end. Readable: they are open.
class Holder {
 public:
  static absl::StatusOr<Holder> Start(const Address& address, int count) {
    int ends[2];
    if (pipe(ends) != 0) return ErrnoStatus(errno, "pipe");
    const pid_t pid = fork();
    if (pid < 0) return ErrnoStatus(errno, "fork");
    if (pid > 0) {
      close(ends[1]);
      return Holder(OwnedFd(ends[0]), pid);
    }
    absl::StatusOr<std::vector<OwnedFd>> clients = OpenIdle(address, count);
    if (!clients.ok() || write(ends[1], "!", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  Holder(Holder&& other) noexcept
      : opened_(std::move(other.opened_)), pid_(std::exchange(other.pid_, 0)) {}
  ~Holder() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  bool Await() {
    char byte;
    return read(opened_.get(), &byte, 1) == 1;
  }

 private:
  Holder(OwnedFd opened, pid_t pid) : opened_(std::move(opened)), pid_(pid) {}
  OwnedFd opened_;
  pid_t pid_;
};

}  // namespace

absl::Status MeasureHundred(const Rig& rig) {
  std::vector<std::string> addresses;
  std::vector<Holder> holders;
  std::vector<std::unique_ptr<MovingServer>> servers;
  for (int i = 0; i < kServices; ++i) {
    absl::StatusOr<std::string> text = FreeAddress();
    if (!text.ok()) return text.status();
    auto server =
        MovingServer::Start({rig.epoll, *text, "60s"}, absl::StrCat(rig.directory, "/hundred", i));
    if (!server.ok()) return server.status();
    absl::StatusOr<Holder> holder = Holder::Start(Address::Parse(*text).value(), kEach);
    if (!holder.ok()) return holder.status();
    if (!holder->Await()) return absl::InternalError("the clients of 100,000 cannot connect");
    holders.push_back(*std::move(holder));
    servers.push_back(*std::move(server));
  }
  for (auto& server : servers) {
    const absl::Status status = server->Upgrade();
    if (!status.ok()) return status;
  }
  Instant first = absl::InfiniteDuration();
  Instant last = -absl::InfiniteDuration();
  for (auto& server : servers) {
    absl::StatusOr<MovingServer::Move> move = server->AwaitMove();
    if (!move.ok()) return move.status();
    first = std::min(first, move->commit);
    last = std::max(last, move->drained);
  }
  rig.bars->AtMost(absl::StrFormat("%d moved, epoll, %d services", kServices * kEach, kServices),
                   absl::ToDoubleMilliseconds(last - first), kBarMs, "ms");
  return absl::OkStatus();
}

}  // namespace zdd
