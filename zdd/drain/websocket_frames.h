// WebSocketFrameReader follows what a WebSocket client sends after its handshake, in pieces of any
// size, and tells of each frame as soon as its header and the first 2 bytes of its payload (the
// code, in a close frame) are there. Payloads are passed over, never kept.
//
//   while (true) {
//     absl::StatusOr<absl::optional<WebSocketFrame>> frame = reader.Next(&in);
//     if (!frame.ok()) return frame.status();
//     if (!frame->has_value()) break;        // `in` is used up
//     OnFrame(**frame);
//   }
//
// Threads: one at a time. Lifetime: a value.
// Errors: DataLoss for a header that RFC 6455 5.2, 5.1 or 5.5 forbids a client; each later call
// says the same.
#ifndef ZDD_DRAIN_WEBSOCKET_FRAMES_H_
#define ZDD_DRAIN_WEBSOCKET_FRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

// RFC 6455 5.2 and 5.5.
constexpr uint8_t kWebSocketClose = 0x8;
constexpr size_t kWebSocketControlBytesMax = 125;

struct WebSocketFrame {
  static constexpr size_t kHeadBytes = 2;

  uint8_t opcode = 0;
  uint64_t length = 0;                     // of the payload
  std::array<char, kHeadBytes> head = {};  // of the payload, unmasked, zeros behind its end
};

class WebSocketFrameReader {
 public:
  // Takes bytes from the front of `in`: until a frame can be told of, or all of them.
  absl::StatusOr<absl::optional<WebSocketFrame>> Next(absl::string_view* in);

 private:
  bool Fill(absl::string_view* in, size_t size);
  absl::Status CheckHeader(uint64_t length) const;
  uint64_t Length() const;

  static constexpr size_t kMaskBytes = 4;
  static constexpr size_t kHeaderBytesMax = 2 + 8 + kMaskBytes;

  uint64_t pass_over_ = 0;  // payload of the last frame that is still to come
  std::array<char, kHeaderBytesMax + WebSocketFrame::kHeadBytes> bytes_ = {};
  size_t taken_ = 0;  // of bytes_
  absl::Status broken_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_WEBSOCKET_FRAMES_H_
