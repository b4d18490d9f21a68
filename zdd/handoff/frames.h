// The frames of the handoff protocol: what generations say to each other, as plain values, and as
// the JSON that travels.
//
//   channel.Send(zdd::Encode(zdd::OfferFrame{sockets, /*last=*/true}), fds);
//   ...
//   absl::StatusOr<zdd::Frame> frame = zdd::Decode(received.bytes, received.fds.size());
//   if (!frame.ok()) return Garbage(frame.status());   // "decode offer frame: field
//                                                      //  "sockets[3].index": got -1, want 0 to
//                                                      63"
//   if (const auto* hello = std::get_if<zdd::HelloFrame>(&*frame)) Welcome(*hello);
//
// The successor speaks first: hello, then welcome, offer (in chunks, each acknowledged), prepared,
// accept, accepting, release, serving, draining. Unknown fields are ignored, so that a later
// version can add some; an unknown frame is an error. Texts are bytes: '%' and what is no printable
// ASCII travel as %XX, hence a path need not be UTF-8. 64-bit numbers travel as texts, durations as
// whole milliseconds.
//
// Threads: values. Errors: DataLoss, with the frame, the field, what came and what would be right.
#ifndef ZDD_HANDOFF_FRAMES_H_
#define ZDD_HANDOFF_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "zdd/handoff/frame_limits.h"
#include "zdd/handoff/handoff_table.h"

namespace zdd {

// The one protocol that this version speaks.
inline constexpr int kProtocol = 1;

// No Listener may have this name: in an offer it is the control socket's.
inline constexpr absl::string_view kControlName = "@control";

// Frames that say all by their name.
struct WithoutFields {
  friend bool operator==(const WithoutFields&, const WithoutFields&) = default;
};

// Frames of somebody who will not go on.
struct WithReason {
  std::string reason;
  friend bool operator==(const WithReason&, const WithReason&) = default;
};

struct HelloFrame {
  std::vector<int> protocols;
  std::string name;  // of the service
  std::string version;
  std::string build;  // may be empty
  int pid = 0;        // as the sender sees itself; the kernel's word is in the credentials
  std::vector<std::string> features;
  int free_fds = 0;  // how many descriptors the sender can still take
  friend bool operator==(const HelloFrame&, const HelloFrame&) = default;
};

// Carries the token.
struct WelcomeFrame {
  int protocol = kProtocol;
  int generation = 0;  // the successor's number
  int pid = 0;
  std::string version;
  int predecessor = 0;  // the sender's number
  int listener_count = 0;
  int socket_count = 0;
  absl::Duration silence;
  absl::Duration drain_timeout;
  absl::Duration ready_timeout;
  int free_fds = 0;  // how many descriptors the sender can still take
  friend bool operator==(const WelcomeFrame&, const WelcomeFrame&) = default;
};

enum class SocketKind : uint8_t { kStream, kDatagram };

// The file of a Unix socket: who owns the socket may unlink this one and no other.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct OfferedSocket {
  std::string listener;
  std::string asked;  // Address::ToString of what Listen() was given
  std::string bound;  // with the real port
  SocketKind kind = SocketKind::kStream;
  int index = 0;  // among the sockets of its listener
  absl::optional<FileIdentity> file;
  bool exclusive = false;
  int backlog = 0;  // 0: not known
  bool dual_stack = true;
  std::string device;
  friend bool operator==(const OfferedSocket&, const OfferedSocket&) = default;
};

// Carries its sockets, in order. See SplitOffer.
struct OfferFrame {
  std::vector<OfferedSocket> sockets;
  bool last = false;
  // Whether the control socket is among them.
  bool control() const;
  friend bool operator==(const OfferFrame&, const OfferFrame&) = default;
};

// Answers each OfferFrame but the last one, which PreparedFrame answers.
struct OfferAckFrame : WithoutFields {};

// What the successor serves. Carries the sockets that it bound for names that the predecessor
// serves too. See SplitPrepared.
struct PreparedFrame {
  std::vector<std::string> claims;  // names of listeners
  std::vector<OfferedSocket> sockets;
  bool last = false;
  friend bool operator==(const PreparedFrame&, const PreparedFrame&) = default;
};

struct AcceptFrame : WithoutFields {};
struct AcceptingFrame : WithoutFields {};

struct ReleaseFrame {
  bool wish = false;  // begin an upgrade once you own
  friend bool operator==(const ReleaseFrame&, const ReleaseFrame&) = default;
};

// The commit. `added`: listeners that the predecessor does not have, "NAME ADDRESS" each, for its
// report; the first kAddedMax of them.
struct ServingFrame {
  std::vector<std::string> added;
  friend bool operator==(const ServingFrame&, const ServingFrame&) = default;
};

struct OlderGeneration {
  int number = 0;
  int pid = 0;
  std::string version;
  bool pidfd = false;  // one comes with the frame
  friend bool operator==(const OlderGeneration&, const OlderGeneration&) = default;
};

// Answers ServingFrame. Carries the pidfds that its entries announce, in order.
struct DrainingFrame {
  std::vector<OlderGeneration> older;  // those that still drain, the sender not among them
  friend bool operator==(const DrainingFrame&, const DrainingFrame&) = default;
};

struct AbortFrame : WithReason {};
struct FailFrame : WithReason {};
struct WishFrame : WithoutFields {};

// Another handoff is under way.
struct BusyFrame {
  int pid = 0;        // of the successor in it; 0: not known
  std::string state;  // PhaseName of the sender
  absl::Duration retry_after;
  friend bool operator==(const BusyFrame&, const BusyFrame&) = default;
};

struct RefusedFrame : WithReason {};

// In which formats the sender's version reads the state of a connection that is moved to that
// listener of its, first the one that it writes: a frame for each, just before a successor says
// `prepared` and before a predecessor says `accept`.
struct ReadsFrame {
  std::string listener;
  std::vector<std::string> formats;
  friend bool operator==(const ReadsFrame&, const ReadsFrame&) = default;
};

// Carries one end of a pair on which the sender's live connections come (zdd/migration). From a
// predecessor that stands by or drains; from a successor that leaves: they come home.
struct PairFrame : WithoutFields {};

struct PingFrame : WithoutFields {};

using Frame =
    std::variant<HelloFrame, WelcomeFrame, OfferFrame, OfferAckFrame, PreparedFrame, AcceptFrame,
                 AcceptingFrame, ReleaseFrame, ServingFrame, DrainingFrame, AbortFrame, FailFrame,
                 WishFrame, BusyFrame, RefusedFrame, ReadsFrame, PairFrame, PingFrame>;

// At most kChunkBytesMax bytes, for an offer or a prepared frame if it came from a Split function.
std::string Encode(const Frame& frame);

// `fd_count`: how many descriptors came with it; another number than the frame announces is an
// error.
absl::StatusOr<Frame> Decode(absl::string_view bytes, int fd_count);

// How many descriptors go with this frame.
int FdCount(const Frame& frame);

absl::string_view FrameName(const Frame& frame);  // "offer_ack"

// What the frame is to a HandoffMachine when the peer of the handoff sends it. `busy` is
// kRefusedFrame. None: it is for the shell (an offer that is not the last one, a ping), and garbage
// where that does not expect it. A `wish` is an elder's: kWishFrame from there, from a peer
// garbage.
absl::optional<Event> EventOf(const Frame& frame);

// Each chunk within both limits, all in order; the last one, and only that, says so. One chunk at
// least.
std::vector<OfferFrame> SplitOffer(std::vector<OfferedSocket> sockets);
std::vector<PreparedFrame> SplitPrepared(std::vector<std::string> claims,
                                         std::vector<OfferedSocket> sockets);

// The highest protocol that both speak. FailedPrecondition if there is none.
absl::StatusOr<int> ChooseProtocol(absl::Span<const int> theirs);

}  // namespace zdd

#endif  // ZDD_HANDOFF_FRAMES_H_
