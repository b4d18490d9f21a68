// The channels that a spawned process got from its predecessor, one for each service, named by one
// variable: ZDD_CHANNELS=name:fd:cookie:signal,...
//
//   auto channel = zdd::TakeInheritedChannel("hello");
//   if (!channel.ok()) return channel.status();           // the variable is garbage
//   if (*channel) Join(std::move((*channel)->fd));         // else: ask the control socket
//
// The variable leaks: children of the server have it too, and so has a shell that one of them
// opens. That does no harm and need not be undone, because the cookie (SO_COOKIE, unique for a
// boot) says whether a descriptor is the very socket that was meant: a wrong one counts as absent.
//
// Threads: any. Errors: InvalidArgument, with the variable, the entry and what is wrong with it.
#ifndef ZDD_SERVICE_INHERITED_CHANNELS_H_
#define ZDD_SERVICE_INHERITED_CHANNELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

inline constexpr char kChannelsVariable[] = "ZDD_CHANNELS";
// Services of one process that can be handed over by one spawn.
inline constexpr size_t kInheritedChannelsMax = 64;

// One entry of the variable.
struct ChannelEntry {
  std::string service;
  int fd = -1;          // 3 or higher
  uint64_t cookie = 0;  // SO_COOKIE, never 0
  int held_signal = 0;  // blocked at the start, for this service to take. 0: none

  friend bool operator==(const ChannelEntry&, const ChannelEntry&) = default;
};

// The value of the variable, and back. Pure; Parse(Encode(x)) == x.
std::string EncodeChannels(absl::Span<const ChannelEntry> entries);
absl::StatusOr<std::vector<ChannelEntry>> ParseChannels(absl::string_view value);

// SO_COOKIE of a Unix SEQPACKET socket. FailedPrecondition for what is none.
absl::StatusOr<uint64_t> ChannelCookie(int fd);

struct InheritedChannel {
  OwnedFd fd;  // close-on-exec from now on
  // A signal that Spawn() blocked for this service. When the service does not take it (this version
  // names another one, or none), let it go: UnblockUntaken() of signals.h.
  int held_signal = 0;
};

// The channel of `service`, at most once per process; none if there is no variable, no entry, or
// the socket is not what the entry says.
absl::StatusOr<absl::optional<InheritedChannel>> TakeInheritedChannel(absl::string_view service);

// Services whose channels are here and were not taken: names that this version does not know (any
// more), or has not yet come to. Empty when the variable is garbage.
std::vector<std::string> UntakenChannels();

}  // namespace zdd

#endif  // ZDD_SERVICE_INHERITED_CHANNELS_H_
