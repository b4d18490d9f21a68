#include "zdd/drain/http2_frames.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

// RFC 9113 3.4: what a client sends first.
constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

uint32_t Number(const char* bytes, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

// Empty if the header has a form that RFC 9113 6.2, 6.4, 6.7 allow a client.
std::string Fault(const Http2Frame& frame) {
  const std::string on = absl::StrCat(" on stream ", frame.stream);
  switch (frame.type) {
    case kHttp2Headers:
      return frame.stream % 2 == 1 ? "" : absl::StrCat("HEADERS", on, " (a client's are odd)");
    case kHttp2RstStream:
      if (frame.stream == 0) return absl::StrCat("RST_STREAM", on);
      return frame.length == 4 ? ""
                               : absl::StrCat("RST_STREAM of ", frame.length, " bytes (must be 4)");
    case kHttp2Ping:
      if (frame.stream != 0) return absl::StrCat("PING", on, " (must be 0)");
      return frame.length == 8 ? "" : absl::StrCat("PING of ", frame.length, " bytes (must be 8)");
  }
  return "";
}

}  // namespace

absl::StatusOr<absl::optional<Http2Frame>> Http2FrameReader::Next(absl::string_view* in) {
  TakePreface(in);
  const size_t passed = std::min(pass_over_, in->size());
  pass_over_ -= passed;
  in->remove_prefix(passed);
  TakeFrame(in);
  if (!broken_.ok()) return broken_;
  if (!frame_.has_value()) return absl::optional<Http2Frame>();
  const size_t head = std::min<size_t>(frame_->length, Http2Frame::kHeadBytes);
  if (!Fill(in, kHeaderBytes + head)) return absl::optional<Http2Frame>();
  std::copy_n(bytes_.begin() + kHeaderBytes, head, frame_->head.begin());
  pass_over_ = frame_->length - head;
  taken_ = 0;
  return std::exchange(frame_, absl::nullopt);
}

// An HTTP/1.1 request is refused at its first byte that differs.
void Http2FrameReader::TakePreface(absl::string_view* in) {
  if (preface_taken_ == kPreface.size() || !broken_.ok()) return;
  const size_t size = std::min(kPreface.size() - preface_taken_, in->size());
  if (in->substr(0, size) != kPreface.substr(preface_taken_, size)) return Break("no preface");
  preface_taken_ += size;
  in->remove_prefix(size);
}

void Http2FrameReader::TakeFrame(absl::string_view* in) {
  if (frame_.has_value() || !broken_.ok() || !Fill(in, kHeaderBytes)) return;
  Http2Frame frame;
  frame.length = Number(&bytes_[0], 3);
  frame.type = static_cast<uint8_t>(bytes_[3]);
  frame.flags = static_cast<uint8_t>(bytes_[4]);
  frame.stream = Number(&bytes_[5], 4) & 0x7fffffff;  // the first bit is reserved: to be ignored
  if (frame.length > frame_bytes_max_) {
    return Break(absl::StrCat("too long (", frame.length, " bytes, at most ", frame_bytes_max_,
                              " were announced)"));
  }
  std::string fault = Fault(frame);
  if (!fault.empty()) return Break(std::move(fault));
  frame_ = frame;
}

// Whether bytes_ holds `size` bytes now.
bool Http2FrameReader::Fill(absl::string_view* in, size_t size) {
  const size_t more = std::min(size - taken_, in->size());
  std::copy_n(in->begin(), more, bytes_.begin() + taken_);
  taken_ += more;
  in->remove_prefix(more);
  return taken_ == size;
}

void Http2FrameReader::Break(std::string reason) {
  broken_ = absl::DataLossError(absl::StrCat("read HTTP/2 frame: ", reason));
}

std::string Http2FrameBytes(uint8_t type, uint8_t flags, uint32_t stream,
                            absl::string_view payload) {
  const std::string length = Http2Number(static_cast<uint32_t>(payload.size())).substr(1);
  return absl::StrCat(length, std::string({static_cast<char>(type), static_cast<char>(flags)}),
                      Http2Number(stream), payload);
}

std::string Http2Number(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16),
          static_cast<char>(number >> 8), static_cast<char>(number)};
}

}  // namespace zdd
