#include "tests/goodbye/http2_talk.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace zdd {
namespace {

// RFC 9113 6.
constexpr uint8_t kData = 0x0;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kWindowUpdate = 0x8;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kEndHeaders = 0x4;

constexpr uint32_t kFrameBytesMax = 16384;  // 6.5.2: what holds if nothing else is announced

// RFC 7541 6.1: an indexed field of the static table. 6.2.2: literals that are not indexed.
constexpr absl::string_view kHead =
    "\x88\x0f\x10\x10"
    "application/grpc";
constexpr absl::string_view kTrailers(
    "\0\x0b"
    "grpc-status\x01"
    "0",
    15);

std::string GrpcMessage(const std::string& text) {
  return absl::StrCat(absl::string_view("\0", 1), Http2Number(text.size()), text);
}

}  // namespace

Http2Talk::Http2Talk(int generation, absl::Duration answer_after)
    : generation_(generation),
      answer_after_(answer_after),
      reader_(kFrameBytesMax),
      output_(Http2FrameBytes(kSettings, 0, 0, "")) {}

absl::Status Http2Talk::OnBytes(absl::string_view in, Instant now) {
  absl::Status status = goodbye_.OnBytes(in);
  if (!status.ok()) return status;
  while (true) {
    absl::StatusOr<absl::optional<Http2Frame>> frame = reader_.Next(&in);
    if (!frame.ok()) return frame.status();
    if (!frame->has_value()) return absl::OkStatus();
    OnFrame(**frame, now);
  }
}

void Http2Talk::OnFrame(const Http2Frame& frame, Instant now) {
  const bool ack = (frame.flags & kHttp2Ack) != 0;
  if (frame.type == kSettings && !ack) output_ += Http2FrameBytes(kSettings, kHttp2Ack, 0, "");
  if (frame.type == kHttp2Ping && !ack) {
    output_ += Http2FrameBytes(kHttp2Ping, kHttp2Ack, 0, {frame.head.data(), frame.head.size()});
  }
  if (frame.type == kData && frame.length > 0) {
    output_ += Http2FrameBytes(kWindowUpdate, 0, 0, Http2Number(frame.length));
  }
  const bool may_end = frame.type == kHttp2Headers || frame.type == kData;
  if (!may_end || (frame.flags & kEndStream) == 0) return;
  if (frame.stream > goodbye_.last_stream_id()) return;
  answers_.push_back({now + answer_after_, frame.stream});
}

void Http2Talk::OnTime(Instant now) {
  goodbye_.OnTime(now);
  for (; !answers_.empty() && answers_.front().due <= now; answers_.pop_front()) {
    output_ += Response(answers_.front().stream);
    goodbye_.OnStreamEnded(answers_.front().stream);
  }
}

Instant Http2Talk::next() const {
  const Instant answer = answers_.empty() ? absl::InfiniteDuration() : answers_.front().due;
  return std::min(answer, goodbye_.next());
}

std::string Http2Talk::TakeBytes() {
  return std::exchange(output_, std::string()) + goodbye_.TakeBytes();
}

std::string Http2Talk::Response(uint32_t stream) const {
  return Http2FrameBytes(kHttp2Headers, kEndHeaders, stream, kHead) +
         Http2FrameBytes(kData, 0, stream, GrpcMessage(absl::StrCat("generation ", generation_))) +
         Http2FrameBytes(kHttp2Headers, kEndHeaders | kEndStream, stream, kTrailers);
}

}  // namespace zdd
