// A member of a room: one WebSocket, and all that it is as a value that moves ("chat/1").
//
//   StartMember(std::move(socket), std::move(ticket), &order, MemberState());
//
// What a member says is heard by all of the room, himself too, as "name: text", when Order has
// numbered it. zdd's asks are treated as in examples/http_server/session.cc; the goodbye of a
// WebSocket that cannot move is a close with 1012, "service restart".
//
// Threads: that of the socket's executor, one. Lifetime: by itself; `order` outlives it.
#ifndef EXAMPLES_WEBSOCKET_CHAT_MEMBER_H_
#define EXAMPLES_WEBSOCKET_CHAT_MEMBER_H_

#include <boost/asio/generic/stream_protocol.hpp>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "examples/websocket_chat/order.h"
#include "zdd/drain/ticket.h"

namespace chat {

constexpr absl::string_view kMemberFormat = "chat/1";

struct MemberState {
  enum class Phase { kHead, kOpen, kClosing };

  std::string input;   // received: less than a head, or than a frame
  std::string output;  // not sent yet
  Phase phase = Phase::kHead;
  std::string room;
  std::string name;
  bool in_message = false;  // fragments of one have come:
  std::string message;
  uint64_t next = 0;  // the number of the entry that he is to hear next
};

std::string Save(const MemberState& state);
absl::optional<MemberState> Load(absl::string_view bytes);

using Socket = boost::asio::generic::stream_protocol::socket;

void StartMember(Socket socket, zdd::Ticket ticket, Order* order, MemberState state);

}  // namespace chat

#endif  // EXAMPLES_WEBSOCKET_CHAT_MEMBER_H_
