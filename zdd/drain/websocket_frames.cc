#include "zdd/drain/websocket_frames.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

// RFC 6455 5.2: the first two bytes of a header.
constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kOpcode = 0x0f;
constexpr uint8_t kControl = 0x08;  // of the opcode
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kShortLength = 0x7f;

uint8_t Byte(char byte) { return static_cast<uint8_t>(byte); }

// How many bytes of length follow the first two.
size_t LengthBytes(uint8_t short_length) {
  if (short_length < 126) return 0;
  return short_length == 126 ? 2 : 8;
}

bool IsDefined(uint8_t opcode) { return (opcode & ~kControl) <= 2; }

absl::Status Broken(absl::string_view reason) {
  return absl::DataLossError(absl::StrCat("read WebSocket frame: ", reason));
}

}  // namespace

absl::StatusOr<absl::optional<WebSocketFrame>> WebSocketFrameReader::Next(absl::string_view* in) {
  if (!broken_.ok()) return broken_;
  const auto more = absl::optional<WebSocketFrame>();
  const size_t passed = static_cast<size_t>(std::min<uint64_t>(pass_over_, in->size()));
  pass_over_ -= passed;
  in->remove_prefix(passed);
  if (!Fill(in, 2)) return more;
  const size_t length_end = 2 + LengthBytes(Byte(bytes_[1]) & kShortLength);
  if (!Fill(in, length_end)) return more;
  WebSocketFrame frame;
  frame.opcode = Byte(bytes_[0]) & kOpcode;
  frame.length = Length();
  broken_ = CheckHeader(frame.length);
  if (!broken_.ok()) return broken_;
  const size_t head =
      static_cast<size_t>(std::min<uint64_t>(frame.length, WebSocketFrame::kHeadBytes));
  const size_t mask_end = length_end + kMaskBytes;
  if (!Fill(in, mask_end + head)) return more;
  for (size_t i = 0; i < head; ++i) {
    frame.head[i] = static_cast<char>(bytes_[mask_end + i] ^ bytes_[length_end + i]);
  }
  pass_over_ = frame.length - head;
  taken_ = 0;
  return absl::make_optional(frame);
}

// Whether bytes_ holds at least `size` bytes now.
bool WebSocketFrameReader::Fill(absl::string_view* in, size_t size) {
  if (taken_ >= size) return true;
  const size_t more = std::min(size - taken_, in->size());
  std::copy_n(in->begin(), more, bytes_.begin() + taken_);
  taken_ += more;
  in->remove_prefix(more);
  return taken_ == size;
}

// REQUIRES: the first two bytes and those of the length are there.
uint64_t WebSocketFrameReader::Length() const {
  const uint8_t short_length = Byte(bytes_[1]) & kShortLength;
  const size_t bytes = LengthBytes(short_length);
  if (bytes == 0) return short_length;
  uint64_t length = 0;
  for (size_t i = 0; i < bytes; ++i) length = length << 8 | Byte(bytes_[2 + i]);
  return length;
}

absl::Status WebSocketFrameReader::CheckHeader(uint64_t length) const {
  const uint8_t opcode = Byte(bytes_[0]) & kOpcode;
  const size_t bytes = LengthBytes(Byte(bytes_[1]) & kShortLength);
  if (!IsDefined(opcode)) return Broken(absl::StrCat("opcode ", opcode, " is reserved"));
  if ((Byte(bytes_[1]) & kMasked) == 0) return Broken("not masked");
  if ((opcode & kControl) != 0) {
    if ((Byte(bytes_[0]) & kFinal) == 0) return Broken("control frame in fragments");
    if (bytes != 0) {
      return Broken(absl::StrCat("control frame of ", length, " bytes (at most ",
                                 kWebSocketControlBytesMax, ")"));
    }
  }
  if (length >> 63 != 0) return Broken("length of 64 bits");
  const bool shortest = bytes == 0 || length > (bytes == 2 ? 125u : 65535u);
  return shortest
             ? absl::OkStatus()
             : Broken(absl::StrCat("length ", length, " in ", bytes, " bytes, not in the fewest"));
}

}  // namespace zdd
