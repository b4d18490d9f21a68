// The HTTP part of a WebSocket (RFC 6455, 4.2), with the parser of Boost.Beast:
// GET /chat?room=R&name=N.
//
// Threads: any.
#ifndef EXAMPLES_WEBSOCKET_CHAT_HANDSHAKE_H_
#define EXAMPLES_WEBSOCKET_CHAT_HANDSHAKE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace chat {

struct Handshake {
  bool ok = false;
  std::string response;
  std::string room;
  std::string name;
};

// `head` is a whole one.
Handshake Answer(absl::string_view head);

}  // namespace chat

#endif  // EXAMPLES_WEBSOCKET_CHAT_HANDSHAKE_H_
