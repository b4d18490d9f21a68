#include "zdd/service/inherited_channels.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "zdd/base/status.h"
#include "zdd/service/service_name.h"

namespace zdd {
namespace {

// The cookies of channels that were taken; 0 is free. A process inherits channels once in its life,
// so nothing is ever removed. Slots fill from the front: whoever looks for a cookie meets it before
// the first free slot, or wins that slot by the exchange. Relaxed: no other data goes with it.
constinit std::array<std::atomic<uint64_t>, kInheritedChannelsMax> taken_cookies{};

// True for the first caller with this cookie, of all threads.
bool TakeOnce(uint64_t cookie) {
  for (std::atomic<uint64_t>& slot : taken_cookies) {
    uint64_t found = 0;
    if (slot.compare_exchange_strong(found, cookie, std::memory_order_relaxed)) return true;
    if (found == cookie) return false;
  }
  return false;
}

bool WasTaken(uint64_t cookie) {
  return std::any_of(taken_cookies.begin(), taken_cookies.end(), [cookie](const auto& slot) {
    return slot.load(std::memory_order_relaxed) == cookie;
  });
}

absl::Status Malformed(absl::string_view entry, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(
      "environment variable ", kChannelsVariable, ": entry \"", absl::CHexEscape(entry),
      "\": ", reason, " (name:fd:cookie:signal; unset it to start without)"));
}

absl::StatusOr<ChannelEntry> ParseEntry(absl::string_view text) {
  // More fields may come from a later version: they are for that one.
  std::vector<absl::string_view> fields = absl::StrSplit(text, ':');
  if (fields.size() < 3) return Malformed(text, "too few fields");
  ChannelEntry entry;
  entry.service = std::string(fields[0]);
  absl::Status named = CheckServiceName(fields[0]);
  if (!named.ok()) return Malformed(text, named.message());
  if (!absl::SimpleAtoi(fields[1], &entry.fd) || entry.fd < 3) {
    return Malformed(text, "the descriptor is no number from 3 on");
  }
  if (!absl::SimpleAtoi(fields[2], &entry.cookie) || entry.cookie == 0) {
    return Malformed(text, "the cookie is no number from 1 on");
  }
  if (fields.size() > 3 && (!absl::SimpleAtoi(fields[3], &entry.held_signal) ||
                            entry.held_signal < 0 || entry.held_signal >= NSIG)) {
    return Malformed(text, "no such signal");
  }
  return entry;
}

absl::StatusOr<std::vector<ChannelEntry>> EntriesOfThisProcess() {
  const char* value = getenv(kChannelsVariable);
  return ParseChannels(value == nullptr ? "" : value);
}

bool IsThatSocket(const ChannelEntry& entry) {
  absl::StatusOr<uint64_t> cookie = ChannelCookie(entry.fd);
  return cookie.ok() && *cookie == entry.cookie;
}

absl::StatusOr<int> SocketOption(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0) return value;
  return absl::FailedPreconditionError(
      ErrnoStatus(errno, absl::StrCat("getsockopt channel ", fd)).message());
}

}  // namespace

std::string EncodeChannels(absl::Span<const ChannelEntry> entries) {
  return absl::StrJoin(entries, ",", [](std::string* out, const ChannelEntry& entry) {
    absl::StrAppend(out, entry.service, ":", entry.fd, ":", entry.cookie, ":", entry.held_signal);
  });
}

absl::StatusOr<std::vector<ChannelEntry>> ParseChannels(absl::string_view value) {
  std::vector<ChannelEntry> entries;
  for (absl::string_view text : absl::StrSplit(value, ',', absl::SkipEmpty())) {
    absl::StatusOr<ChannelEntry> entry = ParseEntry(text);
    if (!entry.ok()) return entry.status();
    for (const ChannelEntry& other : entries) {
      if (other.service == entry->service) return Malformed(text, "the service is there twice");
      if (other.fd == entry->fd) return Malformed(text, "the descriptor is there twice");
    }
    if (entries.size() == kInheritedChannelsMax) {
      return Malformed(text, absl::StrCat("more than ", kInheritedChannelsMax, " entries"));
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

absl::StatusOr<uint64_t> ChannelCookie(int fd) {
  absl::StatusOr<int> domain = SocketOption(fd, SO_DOMAIN);
  if (!domain.ok()) return domain.status();
  absl::StatusOr<int> type = SocketOption(fd, SO_TYPE);
  if (!type.ok()) return type.status();
  if (*domain != AF_UNIX || *type != SOCK_SEQPACKET) {
    return absl::FailedPreconditionError(absl::StrCat(
        "channel ", fd, ": not a Unix SEQPACKET socket (family ", *domain, ", type ", *type, ")"));
  }
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0) return cookie;
  return ErrnoStatus(errno, absl::StrCat("getsockopt SO_COOKIE channel ", fd));
}

absl::StatusOr<absl::optional<InheritedChannel>> TakeInheritedChannel(absl::string_view service) {
  absl::StatusOr<std::vector<ChannelEntry>> entries = EntriesOfThisProcess();
  if (!entries.ok()) return entries.status();
  for (const ChannelEntry& entry : *entries) {
    if (entry.service != service) continue;
    // Looked at before it is taken: a stranger's descriptor must not even be marked.
    if (!IsThatSocket(entry) || !TakeOnce(entry.cookie)) break;
    InheritedChannel channel{OwnedFd(entry.fd), entry.held_signal};
    if (fcntl(entry.fd, F_SETFD, FD_CLOEXEC) != 0) return ErrnoStatus(errno, "fcntl channel");
    return absl::make_optional(std::move(channel));
  }
  return absl::optional<InheritedChannel>();
}

std::vector<std::string> UntakenChannels() {
  absl::StatusOr<std::vector<ChannelEntry>> entries = EntriesOfThisProcess();
  std::vector<std::string> names;
  if (!entries.ok()) return names;
  for (const ChannelEntry& entry : *entries) {
    if (IsThatSocket(entry) && !WasTaken(entry.cookie)) names.push_back(entry.service);
  }
  return names;
}

}  // namespace zdd
