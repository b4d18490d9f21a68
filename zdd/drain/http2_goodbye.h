// Http2Goodbye says the goodbye of one HTTP/2 connection, a gRPC one too, for its server, so that
// no request is lost: each is answered, or the client is told that it was not begun and repeats it
// on another connection by itself (RFC 9113 6.8 and 8.7; gRPC does so without telling its caller).
//
//   goodbye.OnAsk(ticket.Asked(), now);    // and OnTime(), OnBytes(), when one is due
//   ...                                    // read requests, answer; goodbye.OnStreamEnded(stream)
//   output += goodbye.TakeBytes();         // at a frame boundary
//   if (goodbye.done()) ending = true;     // CloseGently() when `output` has been written
//
// docs/goodbyes.md has the whole of it.
//
//   state      | kGoodbye,      | ACK of its  | limits.ack  | kCloseNow   | no stream
//              | kCloseWhenIdle | PING        | over        |             | is open
//   kServing   | kAnnounced (1) | -           | -           | kLeaving(3) | -
//   kAnnounced | -              | kHeard (2)  | kLeaving(3) | kLeaving(3) | -
//   kHeard     | -              | kLeaving(3) | kLeaving(3) | kLeaving(3) | -
//   kLeaving   | -              | -           | -           | done        | done
//
// (1) GOAWAY with the highest stream id that there can be, "begin no more", then a PING. Streams
// that the client begins before it reads this are served. (2) A second PING: gRPC's C++ client
// writes an ACK before the HEADERS of streams that it had begun earlier, so after one ACK some are
// still under way (seen with one PING on a busy machine: 15 of 921 calls failed). (3) GOAWAY with
// the last stream that was begun. Those above it are not served, and their client knows it.
//
// What the server must do:
// - Write what TakeBytes() returned between two frames, not between a HEADERS frame and its
//   CONTINUATION (RFC 9113 4.3), and after its own SETTINGS (3.4).
// - Ignore streams above last_stream_id(). Their header blocks go through HPACK all the same, and
//   their DATA counts for the connection's window (6.8). RST_STREAM with REFUSED_STREAM would say
//   what (3) says; but where it comes before (3), gRPC's C++ client does not repeat the call.
// - A server on a library that frames by itself gives OnStreamBegan, OnStreamEnded and OnPingAck
//   instead of OnBytes. Bytes to take then mean: have the library send GOAWAY with
//   last_stream_id(); and, while that is kHttp2StreamIdMax, a PING whose payload is the last 8 of
//   them.
//
// Threads: one at a time, the connection's. Lifetime: a value; knows the connection from its first
// byte, so that it can tell the last stream.
// Errors: OnBytes, DataLoss: no HTTP/2, or a frame that is none; ResourceExhausted:
// limits.open_streams. Each later call says the same: close, without a goodbye that nobody could
// read.
#ifndef ZDD_DRAIN_HTTP2_GOODBYE_H_
#define ZDD_DRAIN_HTTP2_GOODBYE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/http2_frames.h"

namespace zdd {

constexpr uint32_t kHttp2StreamIdMax = 0x7fffffff;  // RFC 9113 5.1.1

struct Http2GoodbyeLimits {
  // How long a client may take to acknowledge both PINGs. One that never does is told its last
  // stream then; what it begins later is not served.
  absl::Duration ack = absl::Seconds(5);
  // What the server announced as SETTINGS_MAX_FRAME_SIZE; this is what holds if it did not.
  uint32_t frame_bytes = 16384;
  // Open at once, as OnBytes counts them: far above any SETTINGS_MAX_CONCURRENT_STREAMS.
  size_t open_streams = 65536;
};

class Http2Goodbye {
 public:
  explicit Http2Goodbye(const Http2GoodbyeLimits& limits = Http2GoodbyeLimits());

  // What zdd asks of the connection. kMigrate is ignored: HTTP/2 cannot move.
  void OnAsk(Ask ask, Instant now);
  // Due at next().
  void OnTime(Instant now);

  // What the client sent, in pieces of any size: from its preface on, without TLS.
  absl::Status OnBytes(absl::string_view in);

  // Instead of OnBytes. Each stream once; one that the server pushes (an even id) counts as open.
  void OnStreamBegan(uint32_t stream);
  void OnPingAck(absl::string_view payload);

  // The server has nothing more to say on this stream: it wrote END_STREAM or RST_STREAM. A
  // client's RST_STREAM ends it too; OnBytes sees that. A second time, or a stream not served:
  // ignored.
  void OnStreamEnded(uint32_t stream);

  // What is to be written now; often nothing.
  std::string TakeBytes();

  // All was said, answered and taken: the connection may be closed, gently.
  bool done() const;
  // When OnTime() is due; absl::InfiniteDuration() if never.
  Instant next() const { return next_; }

  // The highest stream that is served; kHttp2StreamIdMax until it has been decided.
  uint32_t last_stream_id() const { return last_stream_id_; }
  // For Ticket::SetBusy.
  bool busy() const { return !open_.empty(); }

 private:
  enum class State { kServing, kAnnounced, kHeard, kLeaving };

  absl::Status OnFrame(const Http2Frame& frame);
  void Announce(Instant now);
  void Leave();

  Http2GoodbyeLimits limits_;
  Http2FrameReader reader_;
  State state_ = State::kServing;
  uint32_t last_stream_id_ = kHttp2StreamIdMax;
  uint32_t last_begun_ = 0;
  std::vector<uint32_t> open_;  // rising
  bool cut_ = false;            // streams are not waited for
  Instant next_ = absl::InfiniteDuration();
  std::string output_;
  absl::Status failed_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_HTTP2_GOODBYE_H_
