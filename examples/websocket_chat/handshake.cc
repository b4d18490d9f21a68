#include "examples/websocket_chat/handshake.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/detail/hybi13.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace chat {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// Its own way to this is a websocket::stream, which cannot be moved.
std::string AcceptKey(beast::string_view key) {
  beast::websocket::detail::sec_ws_accept_type accept;
  beast::websocket::detail::make_sec_ws_accept(accept, key);
  return std::string(accept.data(), accept.size());
}

}  // namespace

Handshake Answer(absl::string_view head) {
  Handshake handshake;
  handshake.response = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  http::request_parser<http::empty_body> parser;
  beast::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error || !beast::websocket::is_upgrade(parser.get())) return handshake;
  const beast::string_view key = parser.get()[http::field::sec_websocket_key];
  if (key.size() != beast::websocket::detail::sec_ws_key_type::max_size_n) return handshake;
  const absl::string_view target(parser.get().target().data(), parser.get().target().size());
  for (absl::string_view word : absl::StrSplit(target, absl::ByAnyChar("?&"))) {
    if (absl::ConsumePrefix(&word, "room=")) handshake.room = std::string(word);
    if (absl::ConsumePrefix(&word, "name=")) handshake.name = std::string(word);
  }
  if (handshake.room.empty() || handshake.name.empty()) return handshake;
  handshake.ok = true;
  handshake.response = absl::StrCat(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Accept: ",
      AcceptKey(key), "\r\n\r\n");
  return handshake;
}

}  // namespace chat
