// WebSocket frames (RFC 6455, 5), as values. Frames are taken whole, so that a connection can move
// between any two bytes: what has come of a frame lies in the input, what has come of a message in
// fragments is a string.
//
//   absl::string_view input = received;
//   Frame frame;
//   while (TakeFrame(&input, &frame) == Took::kFrame) ...
//   output += MakeFrame(Opcode::kText, "hello");
//
// Threads: any. Errors: kWrong: no frame of a client, or one beyond kMessageBytesMax.
#ifndef EXAMPLES_WEBSOCKET_CHAT_FRAMES_H_
#define EXAMPLES_WEBSOCKET_CHAT_FRAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace chat {

constexpr size_t kMessageBytesMax = 32 << 10;

enum class Opcode { kContinuation = 0, kText = 1, kClose = 8, kPing = 9, kPong = 10 };

struct Frame {
  Opcode opcode = Opcode::kText;
  bool last = true;
  std::string payload;  // unmasked
};

enum class Took { kFrame, kNeedMore, kWrong };
Took TakeFrame(absl::string_view* input, Frame* frame);

std::string MakeFrame(Opcode opcode, absl::string_view payload);
std::string MakeClose(int code);  // 1012 is "service restart"

}  // namespace chat

#endif  // EXAMPLES_WEBSOCKET_CHAT_FRAMES_H_
