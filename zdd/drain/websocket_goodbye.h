// WebSocketGoodbye says the goodbye of one WebSocket connection for its server: a close frame that
// says why, 1012 (service restart) by default, the client's close frame, and only then the end of
// the connection (RFC 6455 5.5.1, 7.1). A client that reads 1012 comes back after a moment, one
// that reads an end of file may take it for a fault.
//
//   goodbye.OnAsk(ticket.Asked(), now);    // and OnTime(), OnBytes(), when one is due
//   ...                                    // read messages; answer unless goodbye.closing()
//   output += goodbye.TakeBytes();         // at the end of a message
//   if (goodbye.done()) ending = true;     // CloseGently() when `output` has been written
//
// docs/goodbyes.md has the whole of it.
//
//   state    | kGoodbye,      | client's close | limit   | kCloseNow
//            | kCloseWhenIdle |                | over    |
//   kOpen    | kSaid: close   | kOver: echo    | -       | kOver: close
//   kSaid    | -              | kOver          | kOver   | kOver
//   kOver    | -              | -              | -       | -
//
// What the server must do:
// - Write what TakeBytes() returned at a frame boundary; no frame with data may follow it (5.5.1).
//   So a message in fragments is finished first: a control frame may stand between them (5.4), but
//   the rest could not follow. From closing() on, begin no more.
// - What comes before the client's close frame was sent before it heard: it is to be processed, it
//   only cannot be answered. Pings are answered until the client's close frame (5.5.2).
// - Leave close frames to the goodbye, those too that the client sends by itself.
// - A server on a library that closes by itself: when closing(), have it close with the code, and
//   give OnClientClose() instead of OnBytes().
//
// Threads: one at a time, the connection's. Lifetime: a value; follows the connection from the end
// of its handshake.
// Errors: Create, InvalidArgument: a code that may not be sent (7.4), a reason too long or not
// UTF-8. OnBytes, DataLoss: a frame that is none; each later call says the same: the server fails
// the connection (7.1.7).
#ifndef ZDD_DRAIN_WEBSOCKET_GOODBYE_H_
#define ZDD_DRAIN_WEBSOCKET_GOODBYE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/websocket_frames.h"

namespace zdd {

// RFC 6455 7.4.1, and IANA's "WebSocket Close Code Number Registry".
constexpr uint16_t kWebSocketGoingAway = 1001;
constexpr uint16_t kWebSocketServiceRestart = 1012;

constexpr size_t kWebSocketReasonBytesMax = kWebSocketControlBytesMax - sizeof(uint16_t);

struct WebSocketGoodbyeOptions {
  uint16_t code = kWebSocketServiceRestart;
  std::string reason;  // UTF-8, for people
  // How long a client may take to answer with its close frame.
  absl::Duration answer = absl::Seconds(5);
};

class WebSocketGoodbye {
 public:
  static absl::StatusOr<WebSocketGoodbye> Create(const WebSocketGoodbyeOptions& options);
  // With the default options.
  WebSocketGoodbye();

  // What zdd asks of the connection. kMigrate is ignored: it is the server's.
  void OnAsk(Ask ask, Instant now);
  // Due at next().
  void OnTime(Instant now);

  // What the client sent, in pieces of any size: from the end of its handshake on, without TLS.
  absl::Status OnBytes(absl::string_view in);
  // Instead of OnBytes. `code`: none if its close frame is empty.
  void OnClientClose(absl::optional<uint16_t> code);

  // What is to be written now; often nothing.
  std::string TakeBytes();

  // All was said and taken, and answered or not waited for any more: the connection may be closed,
  // gently, and by the server first (RFC 6455 7.1.1).
  bool done() const { return state_ == State::kOver && output_.empty(); }
  // When OnTime() is due; absl::InfiniteDuration() if never.
  Instant next() const { return next_; }

  // A close frame is due or was said.
  bool closing() const { return state_ != State::kOpen; }
  // The client's close frame came.
  bool answered() const { return answered_; }

 private:
  enum class State { kOpen, kSaid, kOver };

  explicit WebSocketGoodbye(const WebSocketGoodbyeOptions& options);
  void Say(State next, std::string close_frame);

  WebSocketFrameReader reader_;
  std::string close_frame_;
  absl::Duration answer_;
  State state_ = State::kOpen;
  bool answered_ = false;
  Instant next_ = absl::InfiniteDuration();
  std::string output_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_WEBSOCKET_GOODBYE_H_
