#include "tests/goodbye/websocket_talk.h"

#include <boost/uuid/detail/sha1.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

constexpr char kText = '\x81';  // final, RFC 6455 5.2
constexpr char kPing = '\x89';
constexpr char kPong = '\x8a';
constexpr size_t kMaskedHeader = 6;  // of a frame below 126 bytes

// RFC 6455 4.2.2.
std::string AcceptKey(absl::string_view key) {
  const std::string salted = absl::StrCat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  boost::uuids::detail::sha1 sha1;
  sha1.process_bytes(salted.data(), salted.size());
  boost::uuids::detail::sha1::digest_type words;
  sha1.get_digest(words);
  std::string digest;
  for (unsigned int word : words) {
    for (int shift : {24, 16, 8, 0}) digest.push_back(static_cast<char>(word >> shift));
  }
  return absl::Base64Escape(digest);
}

std::string Value(absl::string_view head, absl::string_view name) {
  size_t begin = head.find(absl::StrCat("\r\n", name, ": "));
  if (begin == absl::string_view::npos) return "";
  begin += name.size() + 4;
  return std::string(head.substr(begin, head.find("\r\n", begin) - begin));
}

std::string Frame(char first, absl::string_view payload) {
  return absl::StrCat(std::string({first, static_cast<char>(payload.size())}), payload);
}

}  // namespace

WebSocketTalk::WebSocketTalk(int generation) : generation_(generation) {}

// A goodbye in the middle of the handshake waits for its end.
void WebSocketTalk::OnAsk(Ask ask, Instant now) {
  asked_ = ask;
  if (open_) goodbye_.OnAsk(ask, now);
}

absl::Status WebSocketTalk::OnBytes(absl::string_view in, Instant now) {
  if (!open_) ShakeHands(&in);
  if (!open_) return absl::OkStatus();
  goodbye_.OnAsk(asked_, now);
  absl::StrAppend(&input_, in);
  AnswerFrames();
  return goodbye_.OnBytes(in);
}

void WebSocketTalk::ShakeHands(absl::string_view* in) {
  absl::StrAppend(&input_, *in);
  *in = "";
  const size_t end = input_.find("\r\n\r\n");
  if (end == std::string::npos) return;
  output_ = absl::StrCat(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ",
      AcceptKey(Value(input_, "Sec-WebSocket-Key")), "\r\n\r\n");
  input_.erase(0, end + 4);  // a client sends nothing more before it has read this
  open_ = true;
}

// Messages that come after our close frame and before the client's cannot be answered any more; the
// client finds that out from the code, and says them again elsewhere.
void WebSocketTalk::AnswerFrames() {
  while (input_.size() >= kMaskedHeader) {
    const size_t size = input_[1] & 0x7f;  // the clients of the test send less than 126 bytes
    if (input_.size() < kMaskedHeader + size) return;
    std::string payload = input_.substr(kMaskedHeader, size);
    for (size_t i = 0; i < size; ++i) payload[i] ^= input_[2 + i % 4];
    if (input_[0] == kText && !goodbye_.closing()) {
      output_ += Frame(kText, absl::StrCat(generation_, " ", payload));
    }
    if (input_[0] == kPing) output_ += Frame(kPong, payload);
    input_.erase(0, kMaskedHeader + size);
  }
}

std::string WebSocketTalk::TakeBytes() {
  return std::exchange(output_, std::string()) + goodbye_.TakeBytes();
}

}  // namespace zdd
