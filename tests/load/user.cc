#include "tests/load/user.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

// After a failure: who is refused would else ask a hundred thousand times a second.
constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(5);
constexpr absl::Duration kConnectAgain = absl::Milliseconds(1);
constexpr int kSlowReaderBuffer = 16 * 1024;

// Each request of each user has bytes and a length of its own.
uint64_t NextSeed(uint64_t seed) { return seed * 6364136223846793005 + 1442695040888963407; }

absl::Duration Patience(const LoadGroup& group, absl::Duration timeout) {
  return timeout + group.length +
         (group.kind == LoadKind::kLate ? group.delay : absl::ZeroDuration());
}

bool UsesConnectionsAgain(LoadKind kind) {
  return kind != LoadKind::kNew && kind != LoadKind::kLate && kind != LoadKind::kTunnel;
}

}  // namespace

User::User(const LoadGroup& group, int group_index, int number, uint64_t seed,
           const Surroundings& around)
    : kind_(group.kind),
      delay_(group.delay),
      patience_(Patience(group, around.timeout)),
      group_(group_index),
      around_(around),
      exchange_(MakeExchange(group)),
      pacer_(group, number, seed),
      seed_(seed) {}

void User::Start() {
  now_ = MonotonicNow();
  Rest(pacer_.First(now_));
  BeginIfDue();
}

void User::RestartOver() {
  if (kind_ != LoadKind::kIdle || state_ != State::kResting) return;
  now_ = due_ = MonotonicNow();
  BeginIfDue();
}

void User::Stop() {
  if (fd_.valid()) RestartOver();
  stopping_ = true;
  if (state_ == State::kResting) Rest(absl::InfiniteDuration());
}

// ---- Events

void User::OnReady(uint32_t events) {
  now_ = MonotonicNow();
  if (state_ == State::kConnecting) OnConnected();
  if (events & EPOLLOUT) Send();
  Receive();
  if (Due()) Begin();
}

void User::OnTimer() {
  now_ = MonotonicNow();
  switch (state_) {
    case State::kResting:
      return BeginIfDue();
    case State::kConnecting:
      if (now_ >= deadline_) return End(Ending::kTimeout, "no connection");
      return Connect();
    case State::kWaiting:
      return Ask();
    case State::kAsking:
      if (now_ >= deadline_) return End(Ending::kTimeout, "");
      Send();
      Receive();
      if (Due()) Begin();
      return;
    case State::kStopped:
      return;
  }
}

// ---- A request begins

void User::BeginIfDue() {
  if (Due()) Receive();  // it may have been closed meanwhile, and then nothing is written on it
  if (Due()) Begin();
}

void User::Begin() {
  around_.recorder->Begin(group_);
  marks_then_ = around_.recorder->mark_count();
  asked_ = due_;
  deadline_ = now_ + patience_;
  head_came_ = false;
  answer_bytes_ = 0;
  piece_.reset();
  exchange_->Begin(seed_ = NextSeed(seed_));
  if (fd_.valid()) {
    Ask();
  } else {
    Connect();
  }
}

void User::Connect() {
  state_ = State::kConnecting;
  const Address& server = *around_.server;
  fd_ = OwnedFd(socket(server.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_.valid()) return End(Ending::kUntried, absl::StrCat("socket: ", strerror(errno)));
  const int on = 1;
  if (server.transport() == Transport::kTcp)
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (kind_ == LoadKind::kSlowReader) {
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kSlowReaderBuffer, sizeof(kSlowReaderBuffer));
  }
  if (connect(fd_.get(), server.sockaddr(), server.size()) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    if (error != EAGAIN)
      return End(EndingOfError(error), absl::StrCat("connect: ", strerror(error)));
    Close();  // a Unix socket whose queue is full
    return around_.reactor->SetTimer(this, std::min(now_ + kConnectAgain, deadline_));
  }
  const absl::Status watched = around_.reactor->Watch(fd_.get(), this);
  if (!watched.ok()) return End(Ending::kUntried, watched.message());
  around_.reactor->SetTimer(this, deadline_);
}

void User::OnConnected() {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return End(EndingOfError(error), absl::StrCat("connect: ", strerror(error)));
  if (kind_ != LoadKind::kLate) return Ask();
  state_ = State::kWaiting;
  around_.reactor->SetTimer(this, now_ + delay_);
}

void User::Ask() {
  if (kind_ == LoadKind::kLate) asked_ = now_;
  state_ = State::kAsking;
  piece_due_ = now_;
  piece_ = exchange_->Next();
  Send();
}

// ---- Sending

void User::Send() {
  if (state_ != State::kAsking) return;
  while (piece_ && send_error_ == 0 && now_ >= piece_due_) {
    const ssize_t sent = send(fd_.get(), piece_->bytes.data(), piece_->bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      send_error_ =
          errno;  // an answer may be there all the same: what is received tells how this ends
      break;
    }
    piece_->bytes.remove_prefix(static_cast<size_t>(sent));
    if (!piece_->bytes.empty()) continue;
    piece_ = exchange_->Next();
    if (piece_) piece_due_ += piece_->after;
  }
  ArmTimer();
}

void User::ArmTimer() {
  Instant due = deadline_;
  if (piece_ && send_error_ == 0 && piece_due_ > now_) due = std::min(due, piece_due_);
  if (read_due_ > now_) due = std::min(due, read_due_);
  around_.reactor->SetTimer(this, due);
}

// ---- Receiving

bool User::MayReceive() const {
  return fd_.valid() && state_ != State::kConnecting &&
         (state_ != State::kAsking || read_due_ <= now_);
}

// All there is: an edge is told once. A slow reader takes a little, and comes again by itself.
void User::Receive() {
  const bool slow = kind_ == LoadKind::kSlowReader;
  const size_t most = slow ? kSlowReadBytes : around_.buffer.size();
  while (MayReceive()) {
    const ssize_t size = recv(fd_.get(), around_.buffer.data(), most, 0);
    if (size > 0) {
      if (slow) read_due_ = now_ + kSlowReadPause;
      Take(absl::string_view(around_.buffer.data(), static_cast<size_t>(size)));
    } else if (size == 0) {
      OnEof();
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      OnReset(errno);
    }
  }
  if (slow && state_ == State::kAsking) ArmTimer();
}

void User::Take(absl::string_view bytes) {
  if (state_ == State::kAsking) answer_bytes_ += static_cast<int64_t>(bytes.size());
  while (state_ == State::kAsking) {
    if (exchange_->tunnel()) return TakeTunnel(bytes);
    const ResponseParser::Event event = parser_.Next(&bytes);
    if (event == ResponseParser::Event::kNeedMore) return;
    TakeEvent(event);
  }
  if (!bytes.empty() && fd_.valid()) OnSurprise(Ending::kWrong, "bytes that nobody asked for");
}

void User::TakeEvent(ResponseParser::Event event) {
  switch (event) {
    case ResponseParser::Event::kHead:
      head_came_ = true;
      if (!version_.empty() && version_ != parser_.head().version) around_.recorder->Moved(group_);
      version_ = parser_.head().version;
      if (WrongIf(exchange_->OnHead(parser_.head()))) return;
      break;
    case ResponseParser::Event::kBody:
      if (WrongIf(exchange_->OnBody(parser_.body()))) return;
      break;
    case ResponseParser::Event::kEnd:
      if (WrongIf(exchange_->OnEnd())) return;
      break;
    case ResponseParser::Event::kError:
      return End(Ending::kWrong, parser_.error());
    case ResponseParser::Event::kNeedMore:
      return;
  }
  if (exchange_->complete()) End(Ending::kAnswered, "");
}

void User::TakeTunnel(absl::string_view bytes) {
  if (WrongIf(exchange_->OnBody(bytes))) return;
  if (exchange_->complete()) return End(Ending::kAnswered, "");
  if (piece_) return;
  piece_ = exchange_->Next();  // the tunnel has just opened
  piece_due_ = now_;
  Send();
}

void User::OnEof() {
  if (send_error_ == ECONNRESET)
    return OnReset(send_error_);  // send() has taken the socket's error
  if (state_ == State::kResting) {
    around_.recorder->ClosedIdle(group_);
    Close();
  } else {
    End(Ending::kEof, "");
  }
}

void User::OnReset(int error) {
  if (state_ == State::kResting) return OnSurprise(EndingOfError(error), strerror(error));
  End(EndingOfError(error), strerror(error));
}

// Something came while nothing was asked: the next request is spent on it.
void User::OnSurprise(Ending ending, absl::string_view detail) {
  if (state_ == State::kResting) {
    around_.recorder->Begin(group_);
    marks_then_ = around_.recorder->mark_count();
    asked_ = now_;
    head_came_ = false;
    answers_ = 0;  // it did not race with anything
    answer_bytes_ = 0;
  }
  End(ending, absl::StrCat("while nothing was asked: ", detail));
}

// ---- A request ends

bool User::WrongIf(absl::string_view wrong) {
  if (wrong.empty()) return false;
  End(Ending::kWrong, wrong);
  return true;
}

void User::End(Ending ending, absl::string_view detail) {
  const bool ok = ending == Ending::kAnswered;
  around_.recorder->End(group_, {.outcome = OutcomeOf(ending, answers_ > 0, answer_bytes_),
                                 .begin = asked_,
                                 .length = exchange_->length(),
                                 .end = now_,
                                 .marks_then = marks_then_,
                                 .version = head_came_ ? absl::string_view(version_) : "",
                                 .loss = ok ? "" : Circumstances(detail)});
  const Instant next = pacer_.Next(due_, now_);
  if (ok) {
    Release();
    Rest(next);
  } else {
    Close();
    Rest(std::max(next, now_ + kPauseAfterFailure));
  }
}

// Keeps the connection for the next request, unless it was for one only.
void User::Release() {
  ++answers_;
  if (!UsesConnectionsAgain(kind_)) return Close();
  if (!parser_.head().close) return;
  around_.recorder->ToldToReconnect(group_);
  Close();
}

void User::Rest(Instant due) {
  due_ = due;
  state_ = State::kResting;
  if (stopping_) {
    Close();
    state_ = State::kStopped;
    around_.reactor->CancelTimer(this);
  } else if (due > now_) {  // else whoever is handling this event begins at once
    around_.reactor->SetTimer(this, due);
  }
}

void User::Close() {
  fd_.Reset();
  parser_ = ResponseParser();
  answers_ = 0;
  send_error_ = 0;
  version_.clear();
}

std::string User::Circumstances(absl::string_view detail) const {
  return absl::StrCat(detail, detail.empty() ? "" : ", ", "after ", answer_bytes_,
                      " bytes of answer ", answers_ + 1, " on its connection",
                      version_.empty() ? "" : ", last answered by ", version_);
}

}  // namespace zdd
