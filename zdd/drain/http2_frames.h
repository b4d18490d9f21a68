// Http2FrameReader follows what an HTTP/2 client sends, in pieces of any size, and tells of each
// frame as soon as its header and the first 8 bytes of its payload are there. Payloads are passed
// over, never kept.
//
//   while (true) {
//     absl::StatusOr<absl::optional<Http2Frame>> frame = reader.Next(&in);
//     if (!frame.ok()) return frame.status();
//     if (!frame->has_value()) break;        // `in` is used up
//     OnFrame(**frame);
//   }
//
// Threads: one at a time. Lifetime: a value.
// Errors: DataLoss where the stream cannot be followed any further, or a frame that this reader
// tells of has a form that RFC 9113 forbids; each later call says the same.
#ifndef ZDD_DRAIN_HTTP2_FRAMES_H_
#define ZDD_DRAIN_HTTP2_FRAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

// RFC 9113 6: the types that a goodbye has to do with.
constexpr uint8_t kHttp2Headers = 0x1;
constexpr uint8_t kHttp2RstStream = 0x3;
constexpr uint8_t kHttp2Ping = 0x6;
constexpr uint8_t kHttp2GoAway = 0x7;

constexpr uint8_t kHttp2Ack = 0x1;  // the flag, of a PING

// RFC 9113 7.
constexpr uint32_t kHttp2NoError = 0x0;

struct Http2Frame {
  static constexpr size_t kHeadBytes = 8;

  uint32_t length = 0;  // of the payload
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::array<char, kHeadBytes> head = {};  // of the payload, zeros behind its end
};

class Http2FrameReader {
 public:
  // `frame_bytes_max`: the SETTINGS_MAX_FRAME_SIZE that the server announced.
  explicit Http2FrameReader(uint32_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  // Takes bytes from the front of `in`: until a frame can be told of, or all of them.
  absl::StatusOr<absl::optional<Http2Frame>> Next(absl::string_view* in);

 private:
  void TakePreface(absl::string_view* in);
  void TakeFrame(absl::string_view* in);
  bool Fill(absl::string_view* in, size_t size);
  void Break(std::string reason);

  static constexpr size_t kHeaderBytes = 9;

  uint32_t frame_bytes_max_;
  size_t preface_taken_ = 0;
  size_t pass_over_ = 0;  // payload of the last frame that is still to come
  std::array<char, kHeaderBytes + Http2Frame::kHeadBytes> bytes_ = {};
  size_t taken_ = 0;                  // of bytes_
  absl::optional<Http2Frame> frame_;  // its header is whole
  absl::Status broken_;
};

// A whole frame. REQUIRES: payload of less than 2^24 bytes.
std::string Http2FrameBytes(uint8_t type, uint8_t flags, uint32_t stream,
                            absl::string_view payload);

// A number as frames hold it: 4 bytes, the highest first.
std::string Http2Number(uint32_t number);

}  // namespace zdd

#endif  // ZDD_DRAIN_HTTP2_FRAMES_H_
