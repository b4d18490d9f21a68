// Whatever is decoded is encoded to a frame that means the same, and whatever is refused is refused
// with a short, printable reason. The first byte is the number of descriptors, from '0' on.
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/property.h"
#include "zdd/handoff/frames.h"

namespace zdd {
namespace {

void CheckRefusal(const absl::Status& status) {
  ZDD_PROPERTY(status.code() == absl::StatusCode::kDataLoss);
  ZDD_PROPERTY(status.message().size() < 1000);
  for (char c : status.message()) ZDD_PROPERTY(c >= ' ' && c <= '~');
}

void CheckFrame(const Frame& frame, int fd_count) {
  ZDD_PROPERTY(FdCount(frame) == fd_count);
  ZDD_PROPERTY(!FrameName(frame).empty());
  (void)EventOf(frame);
  const std::string bytes = Encode(frame);
  if (bytes.size() > kChunkBytesMax) return;  // came as UTF-8, goes as %XX: only a Split fits
  absl::StatusOr<Frame> again = Decode(bytes, fd_count);
  ZDD_PROPERTY(again.ok());
  ZDD_PROPERTY(*again == frame);
  ZDD_PROPERTY(Encode(*again) == bytes);
}

void CheckSplit(const PreparedFrame& prepared) {
  std::vector<std::string> claims;
  std::vector<OfferedSocket> sockets;
  for (const PreparedFrame& chunk : SplitPrepared(prepared.claims, prepared.sockets)) {
    ZDD_PROPERTY(Encode(chunk).size() <= kChunkBytesMax);
    claims.insert(claims.end(), chunk.claims.begin(), chunk.claims.end());
    sockets.insert(sockets.end(), chunk.sockets.begin(), chunk.sockets.end());
  }
  ZDD_PROPERTY(claims == prepared.claims);
  ZDD_PROPERTY(sockets == prepared.sockets);
}

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const int fd_count = data[0] - '0';
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  absl::StatusOr<zdd::Frame> frame = zdd::Decode(bytes, fd_count);
  if (!frame.ok()) {
    zdd::CheckRefusal(frame.status());
    return 0;
  }
  zdd::CheckFrame(*frame, fd_count);
  if (auto* prepared = std::get_if<zdd::PreparedFrame>(&*frame)) zdd::CheckSplit(*prepared);
  return 0;
}
