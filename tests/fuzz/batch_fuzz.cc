// Whatever frame of a migration is decoded is encoded to one that means the same, and whatever is
// refused is refused with a short, printable reason. The first byte is the number of descriptors,
// from '0' on.
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/property.h"
#include "zdd/handoff/frame_limits.h"
#include "zdd/migration/batch.h"

namespace zdd {
namespace {

void CheckRefusal(const absl::Status& status) {
  ZDD_PROPERTY(status.code() == absl::StatusCode::kDataLoss);
  ZDD_PROPERTY(status.message().size() < 1000);
  for (char c : status.message()) ZDD_PROPERTY(c >= ' ' && c <= '~');
}

void CheckBatch(const BatchFrame& batch, int fd_count, size_t encoded_bytes) {
  ZDD_PROPERTY(!batch.items.empty() && batch.items.size() <= size_t{kBatchItemsMax});
  size_t bytes = kBatchOverheadBytes;
  int fds = 0;
  for (const BatchItem& item : batch.items) {
    ZDD_PROPERTY(CheckBatchItem(item).ok());
    ZDD_PROPERTY(item.state.size() == (item.in_memfd ? 0 : item.state_bytes));
    bytes += BytesOf(item);
    fds += FdsOf(item);
  }
  ZDD_PROPERTY(fds == fd_count);
  ZDD_PROPERTY(encoded_bytes <= bytes);
}

void CheckFrame(const MigrationFrame& frame, int fd_count) {
  const std::string bytes = Encode(frame);
  if (const auto* batch = std::get_if<BatchFrame>(&frame))
    CheckBatch(*batch, fd_count, bytes.size());
  if (bytes.size() > kChunkBytesMax) return;  // came as UTF-8, goes as %XX
  absl::StatusOr<MigrationFrame> again = DecodeMigration(bytes, fd_count);
  ZDD_PROPERTY(again.ok());
  ZDD_PROPERTY(*again == frame);
  ZDD_PROPERTY(Encode(*again) == bytes);
}

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const int fd_count = data[0] - '0';
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  absl::StatusOr<zdd::MigrationFrame> frame = zdd::DecodeMigration(bytes, fd_count);
  if (frame.ok()) {
    zdd::CheckFrame(*frame, fd_count);
  } else {
    zdd::CheckRefusal(frame.status());
  }
  return 0;
}
