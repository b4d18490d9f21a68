#include "examples/http_server/conversation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace example {
namespace {

constexpr size_t kOutputBytesMax = 64 << 10;  // held, besides as much that is being sent
constexpr size_t kTunnelBytesMax = 16 << 10;

absl::string_view Reason(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
  }
  return "Unknown";
}

Conversation::Time::duration Ticks(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

}  // namespace

Conversation::Conversation(State state, absl::string_view version_label)
    : version_label_(version_label), state_(std::move(state)) {
  if (!waits()) return;
  reply_ = Answer({state_.request, state_.digest}, version_label_);
  due_ = Time(std::chrono::microseconds(state_.due_us));
}

State Conversation::Saved() const {
  State state = state_;
  const Time::duration due = waits() ? due_.time_since_epoch() : Time::duration(0);
  state.due_us = std::chrono::duration_cast<std::chrono::microseconds>(due).count();
  return state;
}

// ---- What it wants

bool Conversation::wants_input() const {
  if (input_ended_) return false;
  if (state_.phase == Phase::kTunnel) return state_.output.size() < kTunnelBytesMax;
  if (sending_ || !state_.output.empty()) return false;
  return state_.phase == Phase::kHead || state_.phase == Phase::kBody;
}

absl::optional<Conversation::Time> Conversation::due() const {
  if (!waits() || state_.output.size() >= kOutputBytesMax) return absl::nullopt;
  return due_;
}

bool Conversation::idle() const {
  return state_.phase == Phase::kHead && state_.input.empty() && state_.output.empty() &&
         !sending_ && !input_ended_;
}

bool Conversation::over() const {
  return state_.phase == Phase::kEnd && state_.output.empty() && !sending_;
}

std::string Conversation::TakeOutput() {
  if (sending_) return "";
  sending_ = !state_.output.empty();
  return std::exchange(state_.output, "");
}

void Conversation::OnSent(absl::string_view unsent) {
  sending_ = false;
  state_.output.insert(0, unsent.data(), unsent.size());
}

// ---- Going on

void Conversation::Go(Time now, bool closing) {
  now_ = now;
  while (state_.output.size() < kOutputBytesMax && Step(closing)) {
  }
}

// False: it cannot go on now.
bool Conversation::Step(bool closing) {
  switch (state_.phase) {
    case Phase::kHead:
      return TakeHead();
    case Phase::kBody:
      return TakeBody(closing);
    case Phase::kDelay:
      return due_ <= now_ && Respond(closing);
    case Phase::kLines:
      return due_ <= now_ && AddLine();
    case Phase::kTunnel:
      return Echo();
    case Phase::kEnd:
      return false;
  }
  return false;
}

bool Conversation::TakeHead() {
  std::string& input = state_.input;
  // Clients of old send empty lines after a body (RFC 9112, 2.2).
  input.erase(0, input.find_first_not_of("\r\n"));
  const size_t end = input.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (input.size() > kHeadBytesMax) return Refuse(431);
    return input_ended_ && End();
  }
  state_.request = {};
  state_.digest = {};
  const int wrong = ParseHead(absl::string_view(input).substr(0, end + 4), &state_.request);
  input.erase(0, end + 4);
  if (wrong != 0) return Refuse(wrong);
  const RequestHead& request = state_.request;
  state_.framing =
      request.chunked ? BodyFraming::Chunked() : BodyFraming::Fixed(request.body_bytes);
  reply_ = {};
  if (request.expects_continue) AddHead(100, "");
  state_.phase = Phase::kBody;
  return true;
}

bool Conversation::TakeBody(bool closing) {
  absl::string_view input = state_.input;
  const bool right =
      state_.framing.Take(&input, [&](absl::string_view piece) { state_.digest.Update(piece); });
  state_.input.erase(0, state_.input.size() - input.size());
  if (!right) return Refuse(400);
  if (!state_.framing.done()) return input_ended_ && End();
  return OnRequest(closing);
}

bool Conversation::OnRequest(bool closing) {
  reply_ = Answer({state_.request, state_.digest}, version_label_);
  due_ = now_ + Ticks(reply_.delay);
  if (reply_.delay == absl::ZeroDuration()) return Respond(closing);
  state_.phase = Phase::kDelay;
  return true;
}

// ---- The response

void Conversation::AddHead(int status, absl::string_view fields) {
  absl::StrAppend(&state_.output, "HTTP/1.", state_.request.minor, " ", status, " ", Reason(status),
                  "\r\nX-Version: ", version_label_, "\r\n", fields);
  for (const auto& [name, value] : reply_.fields) {
    absl::StrAppend(&state_.output, name, ": ", value, "\r\n");
  }
  state_.output += "\r\n";
}

bool Conversation::Respond(bool closing) {
  if (reply_.kind == Reply::Kind::kTunnel) {
    AddHead(reply_.status, "Connection: Upgrade\r\n");
    state_.phase = Phase::kTunnel;
    return true;
  }
  const bool lines = reply_.kind == Reply::Kind::kLines;
  // A client of HTTP/1.0 knows no chunks: it gets lines until the end of the connection.
  state_.last = closing || !state_.request.keep_alive || (lines && !chunked());
  std::string fields = "Content-Type: text/plain\r\n";
  if (!lines) absl::StrAppend(&fields, "Content-Length: ", reply_.text.size(), "\r\n");
  if (lines && chunked()) fields += "Transfer-Encoding: chunked\r\n";
  if (state_.last && state_.request.minor == 1) fields += "Connection: close\r\n";
  if (!state_.last && state_.request.minor == 0) fields += "Connection: keep-alive\r\n";
  AddHead(reply_.status, fields);
  if (head_only()) return EndResponse();
  if (!lines) {
    state_.output += reply_.text;
    return EndResponse();
  }
  state_.phase = Phase::kLines;
  state_.line = 0;
  due_ = now_;
  return true;
}

// One, or the end. The next is due an interval after this one was, however late this one goes.
bool Conversation::AddLine() {
  if (state_.line >= reply_.line_count) {
    if (chunked()) state_.output += "0\r\n\r\n";
    return EndResponse();
  }
  const std::string line = absl::StrFormat("%08d\n", state_.line++);
  state_.output += chunked() ? absl::StrFormat("%x\r\n%s\r\n", line.size(), line) : line;
  due_ += Ticks(reply_.line_interval);
  return true;
}

bool Conversation::EndResponse() {
  if (state_.last) return End();
  state_.phase = Phase::kHead;
  return true;
}

// For what is no HTTP, or none that can be answered: where it ends, nobody can say.
bool Conversation::Refuse(int status) {
  reply_ = ErrorReply(status, "cannot make sense of this request");
  state_.request.method.clear();
  return Respond(/*closing=*/true);
}

bool Conversation::End() {
  state_.phase = Phase::kEnd;
  state_.input.clear();
  return false;
}

bool Conversation::Echo() {
  if (state_.input.empty()) return input_ended_ && End();
  state_.output += std::exchange(state_.input, "");
  return true;
}

}  // namespace example
