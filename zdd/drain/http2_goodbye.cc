#include "zdd/drain/http2_goodbye.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace zdd {
namespace {

// Tell our PINGs from those that the server sends for reasons of its own.
constexpr absl::string_view kFirstPing = "zdd.bye1";
constexpr absl::string_view kSecondPing = "zdd.bye2";

std::string Ping(absl::string_view payload) { return Http2FrameBytes(kHttp2Ping, 0, 0, payload); }

std::string GoAway(uint32_t last_stream_id) {
  return Http2FrameBytes(kHttp2GoAway, 0, 0,
                         Http2Number(last_stream_id) + Http2Number(kHttp2NoError));
}

}  // namespace

Http2Goodbye::Http2Goodbye(const Http2GoodbyeLimits& limits)
    : limits_(limits), reader_(limits.frame_bytes) {}

void Http2Goodbye::OnAsk(Ask ask, Instant now) {
  switch (ask) {
    case Ask::kNone:
    case Ask::kMigrate:
      return;
    case Ask::kGoodbye:
    case Ask::kCloseWhenIdle:
      return Announce(now);
    case Ask::kCloseNow:
      cut_ = true;
      return Leave();
  }
}

void Http2Goodbye::OnTime(Instant now) {
  if (now >= next_) Leave();
}

void Http2Goodbye::Announce(Instant now) {
  if (state_ != State::kServing) return;
  state_ = State::kAnnounced;
  next_ = now + limits_.ack;
  output_ += GoAway(kHttp2StreamIdMax) + Ping(kFirstPing);
}

void Http2Goodbye::Leave() {
  if (state_ == State::kLeaving) return;
  state_ = State::kLeaving;
  next_ = absl::InfiniteDuration();
  last_stream_id_ = last_begun_;
  output_ += GoAway(last_stream_id_);
}

absl::Status Http2Goodbye::OnBytes(absl::string_view in) {
  while (failed_.ok()) {
    absl::StatusOr<absl::optional<Http2Frame>> frame = reader_.Next(&in);
    if (frame.ok() && !frame->has_value()) break;
    failed_ = frame.ok() ? OnFrame(**frame) : frame.status();
  }
  return failed_;
}

absl::Status Http2Goodbye::OnFrame(const Http2Frame& frame) {
  switch (frame.type) {
    case kHttp2Headers:  // of a stream that was begun before: trailers
      if (frame.stream <= last_begun_) break;
      if (open_.size() >= limits_.open_streams) {
        return absl::ResourceExhaustedError(absl::StrCat("begin HTTP/2 stream ", frame.stream,
                                                         ": too many are open (at most ",
                                                         limits_.open_streams, ")"));
      }
      OnStreamBegan(frame.stream);
      break;
    case kHttp2RstStream:
      OnStreamEnded(frame.stream);
      break;
    case kHttp2Ping:
      if (frame.flags & kHttp2Ack) OnPingAck({frame.head.data(), frame.head.size()});
      break;
  }
  return absl::OkStatus();
}

void Http2Goodbye::OnStreamBegan(uint32_t stream) {
  const bool pushed = stream % 2 == 0;
  if (!pushed && stream > last_stream_id_) return;
  if (!pushed) last_begun_ = std::max(last_begun_, stream);
  auto place = std::lower_bound(open_.begin(), open_.end(), stream);
  if (place == open_.end() || *place != stream) open_.insert(place, stream);
}

void Http2Goodbye::OnStreamEnded(uint32_t stream) {
  auto place = std::lower_bound(open_.begin(), open_.end(), stream);
  if (place != open_.end() && *place == stream) open_.erase(place);
}

void Http2Goodbye::OnPingAck(absl::string_view payload) {
  if (state_ == State::kAnnounced && payload == kFirstPing) {
    state_ = State::kHeard;
    output_ += Ping(kSecondPing);
  } else if (state_ == State::kHeard && payload == kSecondPing) {
    Leave();
  }
}

std::string Http2Goodbye::TakeBytes() { return std::exchange(output_, std::string()); }

bool Http2Goodbye::done() const {
  return state_ == State::kLeaving && output_.empty() && (cut_ || open_.empty());
}

}  // namespace zdd
