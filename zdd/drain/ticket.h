// Ticket proves that one unit of work is in flight: a connection, a request, a job. A draining
// service waits until the last one has gone, or names it in its report.
//
//   zdd::Ticket ticket = listener.Enter(fd);       // never fails; born busy
//   while (ReadRequest(fd)) {
//     ticket.SetBusy(true);                        // a busy one is not closed before the deadline
//     if (ticket.ShouldClose()) head += "Connection: close\r\n";
//     Respond(fd);
//     ticket.SetBusy(false);                       // idle: may be closed after its goodbye
//   }
//   ticket.Reset();                                // before the fd is closed
//
// For HTTP/1.1 that is all. A server of another protocol takes OnAsk() and says its own goodbye; a
// thread that waits in poll() beside its connection adds AskedFd(). Without OnAsk() zdd closes from
// outside, if it knows the fd: an idle connection, with nothing in either direction of its socket,
// by shutdown(SHUT_RD), so that the server reads the end of file and closes; at the deadline any
// connection, by shutdown(SHUT_RDWR).
//
// Threads: any; one thread at a time for one ticket. SetBusy, ShouldClose and Asked are a load or
// two; ending is wait-free unless zdd is asking this very ticket, for it then waits until that
// callback or system call has returned. So end no ticket while holding a lock that its own callback
// takes. Within its own callback a ticket may be ended.
// Lifetime: may outlive the service and everything of it. Must end before its fd is closed: else
// zdd could shut down a stranger's connection (it compares the socket's cookie, so that this takes
// bad luck too).
// Errors: none. An empty ticket (default-constructed, moved from) ignores everything and is never
// asked.
#ifndef ZDD_DRAIN_TICKET_H_
#define ZDD_DRAIN_TICKET_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/ticket_flags.h"

namespace zdd {

class TicketCore;

class [[nodiscard]] Ticket {
 public:
  Ticket() = default;
  ~Ticket() { Reset(); }
  Ticket(Ticket&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), flags_(std::exchange(other.flags_, nullptr)) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      Reset();
      core_ = std::exchange(other.core_, nullptr);
      flags_ = std::exchange(other.flags_, nullptr);
    }
    return *this;
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  bool valid() const { return flags_ != nullptr; }

  // Ends it: the work is done.
  void Reset() {
    if (flags_ != nullptr) Leave(core_, std::exchange(flags_, nullptr));
  }

  // Whether a request is in hand.
  void SetBusy(bool busy) {
    if (flags_ == nullptr) return;
    // The owner alone writes `life`, so this needs no exchange. Release: a drain that sees "idle"
    // sees what led to it.
    flags_->life.store(busy ? TicketFlags::kLive | TicketFlags::kBusy : TicketFlags::kLive,
                       std::memory_order_release);
  }

  // Whether the response that is being written should be the last. False until this ticket's own
  // moment, which lies somewhere in the drain's spread and does not depend on its traffic; then
  // true for ever.
  bool ShouldClose() const { return Asked() >= Ask::kGoodbye; }

  // The highest ask so far. kMigrate is taken back when an upgrade is rolled back in standby.
  Ask Asked() const {
    return flags_ == nullptr ? Ask::kNone
                             : static_cast<Ask>(flags_->level.load(std::memory_order_relaxed));
  }

  // For poll() beside the connection: readable (POLLIN) soon after this ticket was asked, and as
  // long as it is; read nothing from it, look at Asked(), leave it out of polls while that says so.
  // Of a connection that came back from Migrate() it may be readable before anything is asked: then
  // leave it out too, and look at Asked() ten times a second.
  // It belongs to zdd and lives as long as the ticket. -1, which poll() ignores, if the process has
  // no descriptors left, or the ticket is empty.
  int AskedFd();

  // For a server that closes gently by itself: a request came after it had ended its direction, and
  // nobody will answer it. Counts as `lost_race` in the report if zdd had asked for that close
  // (kCloseWhenIdle), else not. CloseGently() does this.
  void CountLostRace();

  // Runs `callback` on zdd's loop for each ask from now on, and soon for the highest one so far: at
  // most once for each (kMigrate anew by a later upgrade, after one that was rolled back), in
  // rising order, never after the ticket's end and never inside this call. It must not block. It
  // may end the ticket, enter others, stop the service. A second callback replaces the first one
  // and hears only what that had not heard.
  void OnAsk(absl::AnyInvocable<void(Ask)> callback);

  // Gives the connection to the successor, which goes on where this server stops: for a server that
  // was asked kMigrate, at a quiet point. No operation on `fd` may be pending in this process, and
  // it is in no epoll set; `state` is what was read and not yet parsed, what is not yet written,
  // and whatever else the server knows of the connection, in the format of its listener. Never call
  // shutdown() on a duplicate afterwards. Ends this ticket, of whose callback none runs any more.
  // If it cannot move (nobody takes it, no successor), it comes back by its listener, as one that
  // was moved here does: with this state, and told its goodbye. Wait-free but for a lock of its
  // own. REQUIRES: `fd` is the one that was given to Enter(), or a duplicate of it that alone is
  // left.
  void Migrate(OwnedFd fd, std::string state) &&;

 private:
  friend class TicketTable;
  Ticket(TicketCore* core, TicketFlags* flags) : core_(core), flags_(flags) {}
  static void Leave(TicketCore* core, TicketFlags* flags);

  TicketCore* core_ = nullptr;  // lives as long as any ticket of its
  TicketFlags* flags_ = nullptr;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_H_
