#include "zdd/drain/websocket_goodbye.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

constexpr uint16_t kProtocolError = 1002;

// RFC 6455 7.4: 1004, 1005, 1006 and 1015 are never sent, 1016 to 2999 are not given to anyone yet.
bool MaySend(uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

// How many bytes the character that begins with `first` has; 0: none begins so (RFC 3629 3).
size_t CharacterBytes(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

// Not longer than it need be, no surrogate, nothing above U+10FFFF: the second byte tells.
bool IsSecondByte(uint8_t first, uint8_t second) {
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  return second >= low && second <= high;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<uint8_t>(text[0]);
    const size_t size = CharacterBytes(first);
    if (size == 0 || size > text.size()) return false;
    if (size > 1 && !IsSecondByte(first, static_cast<uint8_t>(text[1]))) return false;
    for (size_t i = 2; i < size; ++i) {
      if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return false;
    }
    text.remove_prefix(size);
  }
  return true;
}

// A server's, so not masked (RFC 6455 5.1).
std::string CloseFrame(absl::string_view payload) {
  constexpr char kFinalClose = static_cast<char>(0x80 | kWebSocketClose);
  return absl::StrCat(std::string({kFinalClose, static_cast<char>(payload.size())}), payload);
}

std::string Code(uint16_t code) { return {static_cast<char>(code >> 8), static_cast<char>(code)}; }

// RFC 6455 5.5.1: the code that the client gave, where it may be sent back.
std::string Echo(absl::optional<uint16_t> code) {
  if (!code.has_value()) return CloseFrame("");
  return CloseFrame(Code(MaySend(*code) ? *code : kProtocolError));
}

// A payload of one byte is no code: 0, which may not be sent, says so.
absl::optional<uint16_t> CodeOf(const WebSocketFrame& close) {
  if (close.length == 0) return absl::nullopt;
  if (close.length == 1) return 0;
  return static_cast<uint16_t>(static_cast<uint8_t>(close.head[0]) << 8 |
                               static_cast<uint8_t>(close.head[1]));
}

}  // namespace

absl::StatusOr<WebSocketGoodbye> WebSocketGoodbye::Create(const WebSocketGoodbyeOptions& options) {
  if (!MaySend(options.code)) {
    return absl::InvalidArgumentError(
        absl::StrCat("WebSocket close code ", options.code, ": may not be sent"));
  }
  if (options.reason.size() > kWebSocketReasonBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("WebSocket close reason: too long (",
                                                   options.reason.size(), " bytes, at most ",
                                                   kWebSocketReasonBytesMax, ")"));
  }
  if (!IsUtf8(options.reason)) {
    return absl::InvalidArgumentError("WebSocket close reason: not UTF-8");
  }
  return WebSocketGoodbye(options);
}

WebSocketGoodbye::WebSocketGoodbye() : WebSocketGoodbye(WebSocketGoodbyeOptions()) {}

WebSocketGoodbye::WebSocketGoodbye(const WebSocketGoodbyeOptions& options)
    : close_frame_(CloseFrame(Code(options.code) + options.reason)), answer_(options.answer) {}

void WebSocketGoodbye::OnAsk(Ask ask, Instant now) {
  switch (ask) {
    case Ask::kNone:
    case Ask::kMigrate:
      return;
    case Ask::kGoodbye:
    case Ask::kCloseWhenIdle:
      if (state_ != State::kOpen) return;
      next_ = now + answer_;
      return Say(State::kSaid, close_frame_);
    case Ask::kCloseNow:
      return Say(State::kOver, close_frame_);
  }
}

void WebSocketGoodbye::OnTime(Instant now) {
  if (now >= next_) Say(State::kOver, close_frame_);
}

absl::Status WebSocketGoodbye::OnBytes(absl::string_view in) {
  while (!answered_) {  // what follows the client's close frame is nothing (RFC 6455 1.4)
    absl::StatusOr<absl::optional<WebSocketFrame>> frame = reader_.Next(&in);
    if (!frame.ok()) return frame.status();
    if (!frame->has_value()) break;
    if ((*frame)->opcode == kWebSocketClose) OnClientClose(CodeOf(**frame));
  }
  return absl::OkStatus();
}

void WebSocketGoodbye::OnClientClose(absl::optional<uint16_t> code) {
  answered_ = true;
  Say(State::kOver, Echo(code));
}

// One close frame at the most, whatever happens.
void WebSocketGoodbye::Say(State next, std::string close_frame) {
  if (state_ == State::kOpen) output_ = std::move(close_frame);
  state_ = next;
  if (next == State::kOver) next_ = absl::InfiniteDuration();
}

std::string WebSocketGoodbye::TakeBytes() { return std::exchange(output_, std::string()); }

}  // namespace zdd
