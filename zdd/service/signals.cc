#include "zdd/service/signals.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/mutex.h"
#include "zdd/base/status.h"

namespace zdd {
namespace {

// What the handler needs, hence static: lock-free atomics without constructors.

// How often each signal was handled in this process. Counted here and not in the eventfd, which a
// forked child shares. The handler adds before it writes to an eventfd, Read() looks after it has
// read from there: the two calls order them.
constinit std::array<std::atomic<uint32_t>, NSIG> arrivals{};

struct WakeSlot {
  std::atomic<bool> claimed;
  std::atomic<int> fd;       // an eventfd; 0: none, as takers have theirs from 3 on
  std::atomic<int> writers;  // handlers that may be about to write to fd
};
constinit std::array<WakeSlot, kSignalTakersMax> wake_slots{};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

extern "C" void CountAndWake(int signal) {
  const int saved_errno = errno;
  arrivals[signal].fetch_add(1, std::memory_order_seq_cst);
  for (WakeSlot& slot : wake_slots) {
    // Pairs with Retire(): either that sees us as a writer and waits, or we see its 0. With less
    // than sequential consistency both could miss the other, and we would write into whatever got
    // the number of the closed eventfd.
    slot.writers.fetch_add(1, std::memory_order_seq_cst);
    const int fd = slot.fd.load(std::memory_order_seq_cst);
    const uint64_t one = 1;
    if (fd != 0 && write(fd, &one, sizeof one) < 0) {
      // EAGAIN: 2^64 wakes wait there, one more is not needed.
    }
    slot.writers.fetch_sub(1, std::memory_order_seq_cst);
  }
  errno = saved_errno;
}

int ClaimSlot() {
  for (size_t i = 0; i < wake_slots.size(); ++i) {
    if (!wake_slots[i].claimed.exchange(true, std::memory_order_acquire))
      return static_cast<int>(i);
  }
  return -1;
}

// After it no handler touches the slot's eventfd, which may be closed.
void Retire(int index) {
  WakeSlot& slot = wake_slots[index];
  slot.fd.store(0, std::memory_order_seq_cst);
  // A handler makes at most one write() that does not block; it may be descheduled meanwhile.
  while (slot.writers.load(std::memory_order_seq_cst) != 0) sched_yield();
  slot.claimed.store(false, std::memory_order_release);
}

// The actions of before, by signal, and how many takers each has.
struct Action {
  int takers = 0;
  struct sigaction before {};
};
constinit Mutex actions_mutex;
constinit std::array<Action, NSIG> actions ABSL_GUARDED_BY(actions_mutex){};

absl::Status Install(int signal) {
  MutexLock lock(&actions_mutex);
  Action& action = actions[signal];
  if (action.takers == 0) {
    struct sigaction ours {};
    ours.sa_handler = &CountAndWake;
    ours.sa_flags = SA_RESTART;
    sigfillset(&ours.sa_mask);
    if (sigaction(signal, &ours, &action.before) != 0) {
      return ErrnoStatus(errno, absl::StrCat("sigaction ", SignalText(signal)));
    }
  }
  ++action.takers;
  return absl::OkStatus();
}

void Uninstall(int signal) {
  MutexLock lock(&actions_mutex);
  Action& action = actions[signal];
  if (--action.takers > 0) return;
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  if (now.sa_handler == &CountAndWake) sigaction(signal, &action.before, nullptr);
}

absl::Status Refuse(int signal, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat(SignalText(signal), ": ", reason,
                   "; take SIGUSR2, SIGHUP, SIGTERM, SIGINT or a real-time one"));
}

absl::Status CheckSignals(const std::vector<int>& signals) {
  for (auto signal = signals.begin(); signal != signals.end(); ++signal) {
    absl::Status fit = CheckSignal(*signal);
    if (!fit.ok()) return fit;
    if (std::find(signals.begin(), signal, *signal) != signal) {
      return absl::InvalidArgumentError(absl::StrCat(SignalText(*signal), ": named twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string SignalText(int signal) {
  const char* name = sigabbrev_np(signal);
  if (name != nullptr) return absl::StrCat("signal ", signal, " (SIG", name, ")");
  if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
    return absl::StrCat("signal ", signal, " (SIGRTMIN+", signal - SIGRTMIN, ")");
  }
  return absl::StrCat("signal ", signal);
}

absl::Status CheckSignal(int signal) {
  switch (signal) {
    case SIGKILL:
    case SIGSTOP:
      return Refuse(signal, "nobody can catch it");
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGABRT:
    case SIGTRAP:
    case SIGSYS:
    case SIGPIPE:
      return Refuse(signal, "it tells of a fault in this very thread");
    case SIGCHLD:
      return Refuse(signal, "it comes with the end of each child");
    default:
      break;
  }
  if (signal < 1 || signal > SIGRTMAX)
    return Refuse(signal, absl::StrCat("not from 1 to ", SIGRTMAX));
  // 32 and 33: thread cancellation, and setuid() of all threads at once.
  if (signal > SIGSYS && signal < SIGRTMIN) return Refuse(signal, "the C library uses it");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SignalTaker>> SignalTaker::Take(const std::vector<int>& signals,
                                                               Syscalls& syscalls) {
  absl::Status fit = CheckSignals(signals);
  if (!fit.ok()) return fit;
  OwnedFd wake = AboveStdio(OwnedFd(syscalls.EventFd(0, EFD_CLOEXEC | EFD_NONBLOCK)), syscalls);
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd for signals");
  int slot = ClaimSlot();
  if (slot < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("take signals: more than ", kSignalTakersMax, " takers in one process"));
  }
  std::unique_ptr<SignalTaker> taker(new SignalTaker(std::move(wake), slot));
  absl::Status installed = taker->Init(signals);
  if (!installed.ok()) return installed;
  return taker;
}

absl::Status SignalTaker::Init(const std::vector<int>& signals) {
  wake_slots[slot_].fd.store(wake_.get(), std::memory_order_seq_cst);
  for (int signal : signals) {
    uint32_t seen = arrivals[signal].load(std::memory_order_seq_cst);
    absl::Status installed = Install(signal);
    if (!installed.ok()) return installed;
    taken_.push_back({signal, seen});
  }
  UnblockHere();
  return absl::OkStatus();
}

SignalTaker::~SignalTaker() {
  for (const Taken& taken : taken_) Uninstall(taken.signal);
  Retire(slot_);
}

void SignalTaker::UnblockHere() const {
  sigset_t ours;
  sigemptyset(&ours);
  for (const Taken& taken : taken_) sigaddset(&ours, taken.signal);
  pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

std::vector<int> SignalTaker::Read() {
  uint64_t wakes;
  while (read(wake_.get(), &wakes, sizeof wakes) < 0 && errno == EINTR) {
  }
  std::vector<int> signals;
  for (Taken& taken : taken_) {
    uint32_t now = arrivals[taken.signal].load(std::memory_order_seq_cst);
    uint32_t fresh = std::min<uint32_t>(now - taken.seen, kRepeatsMax);
    signals.insert(signals.end(), fresh, taken.signal);
    taken.seen = now;
  }
  return signals;
}

void UnblockUntaken(int signal) {
  sigset_t one;
  sigemptyset(&one);
  if (sigaddset(&one, signal) != 0) return;
  const timespec at_once{};
  while (sigtimedwait(&one, nullptr, &at_once) >= 0 || errno == EINTR) {
  }
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
}

}  // namespace zdd
