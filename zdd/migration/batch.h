// What the two ends of a migration say to each other, as plain values and as the bytes that travel:
// one line of JSON, behind it the states of a batch, back to back.
//
//   channel.Send(Encode(BatchFrame{no, items}), fds);
//   ...
//   absl::StatusOr<MigrationFrame> frame = DecodeMigration(received.bytes, received.fds.size());
//   if (!frame.ok()) return Garbage(frame.status());   // "decode batch frame: field
//                                                      //  "items[3].bytes": got -1, want 0 to ..."
//
// The sender of connections says BatchFrame and, at the end, RevokedFrame; the receiver AckFrame.
// Unknown fields are ignored. Texts are bytes: '%' and what is no printable ASCII travel as %XX.
//
// Threads: values. Errors: DataLoss, with the frame, the field, what came and what would be right.
#ifndef ZDD_MIGRATION_BATCH_H_
#define ZDD_MIGRATION_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/handoff/frame_limits.h"

namespace zdd {

inline constexpr int kBatchItemsDefault = 16;  // measured: larger ones stand still longer
inline constexpr int kBatchItemsMax = 64;      // the bits of AckFrame::taken
// A batch that waits for its acknowledgement costs its clients that time, so there are few.
inline constexpr int kBatchesUnacknowledgedMax = 8;
inline constexpr size_t kInlineStateBytesMax = size_t{8} * 1024;  // a larger one goes in a memfd
inline constexpr size_t kMigrationStateBytesMax = size_t{1024} * 1024;
// Of a datagram without its items.
inline constexpr size_t kBatchOverheadBytes = 64;

struct BatchItem {
  std::string listener;
  std::string format;  // of the state
  absl::Duration age;
  // The state is in a sealed memfd (sealed_state.h), which comes behind the connections.
  bool in_memfd = false;
  size_t state_bytes = 0;
  std::string state;  // empty if it is in a memfd
  friend bool operator==(const BatchItem&, const BatchItem&) = default;
};

// Carries a connection for each item, then a memfd for each that says so, all in their order.
// Numbers count from 1.
struct BatchFrame {
  int no = 0;
  std::vector<BatchItem> items;  // at least one
  friend bool operator==(const BatchFrame&, const BatchFrame&) = default;
};

struct AckFrame {
  int no = 0;          // of the batch: each is acknowledged, in order
  uint64_t taken = 0;  // bit i: item i now belongs to who says this. The others were closed
  int free_fds = 0;    // how many descriptors it can still take
  friend bool operator==(const AckFrame&, const AckFrame&) = default;
};

// The sender takes back whatever is not acknowledged. The last frame of its.
struct RevokedFrame {
  friend bool operator==(const RevokedFrame&, const RevokedFrame&) = default;
};

using MigrationFrame = std::variant<BatchFrame, AckFrame, RevokedFrame>;

// An item as a BatchFrame carries it. `state` is copied unless it goes in a memfd.
BatchItem MakeBatchItem(absl::string_view listener, absl::string_view format, absl::Duration age,
                        absl::string_view state);

// Whether it can travel: InvalidArgument (a text too long), ResourceExhausted (the state).
absl::Status CheckBatchItem(const BatchItem& item);

// How much of a datagram the item takes, its state included.
size_t BytesOf(const BatchItem& item);
// How many descriptors go with it.
int FdsOf(const BatchItem& item);

std::string Encode(const MigrationFrame& frame);

// `fd_count`: how many descriptors came with it; another number than the frame announces is an
// error.
absl::StatusOr<MigrationFrame> DecodeMigration(absl::string_view bytes, int fd_count);

}  // namespace zdd

#endif  // ZDD_MIGRATION_BATCH_H_
