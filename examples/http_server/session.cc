#include "examples/http_server/session.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "examples/http_server/close_gently.h"
#include "examples/http_server/digest_body.h"
#include "examples/http_server/routes.h"
#include "examples/http_server/tunnel.h"

namespace example {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Error = beast::error_code;
using RequestHead = http::request_header<>;

constexpr size_t kHeadBytesMax = 16 << 10;
constexpr size_t kBufferBytesMax = 64 << 10;
constexpr size_t kFirstReadBytes = 4 << 10;

absl::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// What Beast's parser takes although RFC 9112 (3.2, 6.1) tells servers to refuse it.
bool IsFaulty(const RequestHead& head, bool chunked) {
  if (head.version() == 10) return head.count(http::field::transfer_encoding) > 0;
  return head.count(http::field::host) != 1 ||
         (head.count(http::field::transfer_encoding) > 0 && !chunked);
}

bool WantsContinue(const RequestHead& head) {
  return head.version() == 11 &&
         absl::EqualsIgnoreCase(View(head[http::field::expect]), "100-continue");
}

// The status that tells a client what was wrong with its request. 0: the connection broke.
int StatusOf(Error error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  return error.category() == make_error_code(http::error::bad_value).category() ? 400 : 0;
}

std::string Chunk(absl::string_view text) {
  return absl::StrFormat("%x\r\n%s\r\n", text.size(), text);
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, zdd::Ticket ticket, absl::string_view version_label)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        version_label_(version_label),
        ticket_(std::move(ticket)) {}

  void Start() {
    asio::dispatch(socket_.get_executor(), [self = shared_from_this()] { self->AwaitRequest(); });
  }

 private:
  // A handler that keeps this session alive. Where no handler is left, the session is over.
  template <typename Method>
  auto Then(Method method) {
    return beast::bind_front_handler(method, shared_from_this());
  }

  // ---- the request

  void AwaitRequest() {
    SkipEmptyLines();
    if (buffer_.size() > 0) return ReadHead();
    ticket_.SetBusy(false);
    socket_.async_read_some(buffer_.prepare(kFirstReadBytes), Then(&Session::OnFirstBytes));
  }

  void OnFirstBytes(Error error, size_t size) {
    if (error) return;
    ticket_.SetBusy(true);
    buffer_.commit(size);
    AwaitRequest();
  }

  // Clients of old send them after a body (RFC 9112, 2.2).
  void SkipEmptyLines() {
    while (buffer_.size() > 0) {
      char first = *static_cast<const char*>(buffer_.data().data());
      if (first != '\r' && first != '\n') return;
      buffer_.consume(1);
    }
  }

  void ReadHead() {
    reply_ = {};
    parser_.emplace();
    parser_->header_limit(kHeadBytesMax);
    parser_->body_limit(std::numeric_limits<uint64_t>::max());
    http::async_read_header(socket_, buffer_, *parser_, Then(&Session::OnHead));
  }

  void OnHead(Error error, size_t) {
    if (error) return Refuse(StatusOf(error));
    if (IsFaulty(parser_->get(), parser_->chunked())) return Refuse(400);
    if (parser_->is_done()) return OnRequest({}, 0);
    if (!WantsContinue(parser_->get())) return ReadBody({}, 0);
    BeginResponse(100);
    http::async_write(socket_, response_, Then(&Session::ReadBody));
  }

  void ReadBody(Error error, size_t) {
    if (error) return;
    http::async_read(socket_, buffer_, *parser_, Then(&Session::OnRequest));
  }

  void OnRequest(Error error, size_t) {
    if (error) return Refuse(StatusOf(error));
    const http::request<DigestBody>& request = parser_->get();
    bool may_switch = request.version() == 11;
    reply_ = Answer({.method = View(request.method_string()),
                     .target = View(request.target()),
                     .upgrade = may_switch ? View(request[http::field::upgrade]) : "",
                     .body = request.body()},
                    version_label_);
    if (reply_.delay == absl::ZeroDuration()) return Respond({});
    timer_.expires_after(absl::ToChronoNanoseconds(reply_.delay));
    timer_.async_wait(Then(&Session::Respond));
  }

  // ---- the response

  void Respond(Error) {
    last_ = !parser_->get().keep_alive() || ticket_.ShouldClose();
    switch (reply_.kind) {
      case Reply::Kind::kText:
        return SendText();
      case Reply::Kind::kLines:
        return SendLines();
      case Reply::Kind::kTunnel:
        return OpenTunnel();
    }
  }

  // For what is no HTTP, or none that can be answered: where it ends, nobody can say.
  void Refuse(int status) {
    if (status == 0) return;
    reply_ = ErrorReply(status, "cannot make sense of this request");
    last_ = true;
    SendText();
  }

  void BeginResponse(int status) {
    response_ = {};
    response_.version(parser_->get().version() == 10 ? 10 : 11);
    response_.result(status);
    response_.set("X-Version", beast::string_view(version_label_.data(), version_label_.size()));
    for (const auto& [name, value] : reply_.fields) response_.set(name, value);
  }

  bool head_only() { return parser_->get().method() == http::verb::head; }

  void SendText() {
    BeginResponse(reply_.status);
    response_.keep_alive(!last_);
    response_.set(http::field::content_type, "text/plain");
    response_.content_length(reply_.text.size());
    if (!head_only()) response_.body() = std::move(reply_.text);
    http::async_write(socket_, response_, Then(&Session::OnSent));
  }

  void OnSent(Error error, size_t) {
    if (error) return;
    if (last_) return CloseGently(std::move(socket_), std::move(ticket_));
    AwaitRequest();
  }

  // ---- a stream of lines

  // A client of HTTP/1.0 knows no chunks: it gets lines until the end of the connection.
  bool chunked() { return response_.version() == 11; }

  void SendLines() {
    BeginResponse(reply_.status);
    if (!chunked()) last_ = true;
    response_.chunked(chunked());
    response_.keep_alive(!last_);
    response_.set(http::field::content_type, "text/plain");
    head_.emplace(response_);
    http::async_write_header(socket_, *head_, Then(&Session::OnLinesBegun));
  }

  void OnLinesBegun(Error error, size_t) {
    if (error || head_only()) return OnSent(error, 0);
    line_ = 0;
    timer_.expires_after(std::chrono::nanoseconds(0));
    SendLine({});
  }

  void SendLine(Error) {
    if (line_ == reply_.line_count) return EndLines();
    std::string text = absl::StrFormat("%08d\n", line_++);
    piece_ = chunked() ? Chunk(text) : text;
    asio::async_write(socket_, asio::buffer(piece_), Then(&Session::OnLineSent));
  }

  // The next one is due an interval after this one was, however late this one went.
  void OnLineSent(Error error, size_t) {
    if (error) return;
    timer_.expires_at(timer_.expiry() + absl::ToChronoNanoseconds(LineInterval()));
    timer_.async_wait(Then(&Session::SendLine));
  }

  void EndLines() {
    piece_ = chunked() ? Chunk("") : "";
    asio::async_write(socket_, asio::buffer(piece_), Then(&Session::OnSent));
  }

  // ---- a tunnel

  void OpenTunnel() {
    BeginResponse(reply_.status);
    response_.set(http::field::connection, "Upgrade");
    http::async_write(socket_, response_, Then(&Session::OnTunnelOpen));
  }

  void OnTunnelOpen(Error error, size_t) {
    if (error) return;
    // What came behind the request is the tunnel's already.
    StartTunnel(std::move(socket_), std::move(ticket_), beast::buffers_to_string(buffer_.data()));
  }

  Socket socket_;
  asio::steady_timer timer_;
  const absl::string_view version_label_;

  beast::flat_buffer buffer_{kBufferBytesMax};
  std::optional<http::request_parser<DigestBody>> parser_;
  Reply reply_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> head_;
  bool last_ = false;  // this response ends the connection

  std::string piece_;
  int line_ = 0;

  zdd::Ticket ticket_;  // the last member, so that it ends before the socket is closed
};

}  // namespace

void StartSession(Socket socket, zdd::Ticket ticket, absl::string_view version_label) {
  Error ignored;  // a Unix socket has no such option
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  std::make_shared<Session>(std::move(socket), std::move(ticket), version_label)->Start();
}

}  // namespace example
