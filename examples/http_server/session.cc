#include "examples/http_server/session.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <utility>

#include "examples/http_server/close_gently.h"
#include "examples/http_server/conversation.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/ask.h"

namespace example {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 16 << 10;

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, zdd::Ticket ticket, absl::string_view version_label, State state)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        conversation_(std::move(state), version_label),
        ticket_(std::move(ticket)) {}

  void Start() {
    ticket_.OnAsk([weak = weak_from_this()](zdd::Ask) {
      if (std::shared_ptr<Session> self = weak.lock()) Post(std::move(self));
    });
    Post(shared_from_this());
  }

 private:
  static void Post(std::shared_ptr<Session> self) {
    const asio::any_io_executor executor = self->timer_.get_executor();
    asio::post(executor, [self = std::move(self)] { self->Go(); });
  }

  // Every handler ends here, and so does every ask. The conversation goes on as far as it can, and
  // then whatever it waits for is started. Where no handler is left, the session is over.
  void Go() {
    if (over_ || MustPause()) return;
    conversation_.Go(Clock::now(), ticket_.ShouldClose());
    if (conversation_.over()) return Finish();
    ticket_.SetBusy(!conversation_.idle());
    if (!writing_) Write();
    if (!reading_ && conversation_.wants_input()) Read();
    if (!waiting_ && conversation_.due()) Wait();
  }

  // ---- what zdd asks

  // Asked to move or to close, nothing new is begun; what is pending is cancelled, and its handlers
  // come to Go(). With the last of them there is nothing of this connection in the kernel's hands
  // or in Asio's, and it can leave.
  bool MustPause() {
    const zdd::Ask asked = ticket_.Asked();
    const bool moves = asked == zdd::Ask::kMigrate;
    const bool closes = asked == zdd::Ask::kCloseNow ||
                        (asked == zdd::Ask::kCloseWhenIdle && conversation_.idle() && !Readable());
    if (!moves && !closes) return false;
    if (reading_ || writing_ || waiting_) {
      Cancel();
    } else if (moves) {
      Move();
    } else {
      Finish();
    }
    return true;
  }

  void Move() {
    over_ = true;
    std::move(ticket_).Migrate(zdd::OwnedFd(socket_.release()), Save(conversation_.Saved()));
  }

  void Finish() {
    over_ = true;
    if (conversation_.input_ended()) return Cancel();
    CloseGently(std::move(socket_), std::move(ticket_));
  }

  void Break() {
    over_ = true;
    Cancel();
  }

  bool Readable() {
    Error error;
    return socket_.available(error) > 0;
  }

  void Cancel() {
    Error ignored;
    socket_.cancel(ignored);
    timer_.cancel(ignored);
  }

  // ---- what the conversation waits for

  // Single operations: async_write() would begin its next one after it was cancelled.

  // The buffer is on the stack: a connection that waits has none, so that thousands cost little
  // memory, and one that moves touches little that is new to its process.
  void Read() {
    reading_ = true;
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](Error error) {
      self->reading_ = false;
      self->Next(error ? error : self->ReadSome());
    });
  }

  Error ReadSome() {
    std::array<char, kReadBytes> received;
    Error error;
    const size_t size = socket_.read_some(asio::buffer(received), error);
    conversation_.OnInput({received.data(), size});
    if (error == asio::error::eof) conversation_.OnInputEnd();
    return error == asio::error::eof || error == asio::error::would_block ? Error() : error;
  }

  void Write() {
    sending_ = conversation_.TakeOutput();
    if (sending_.empty()) return;
    writing_ = true;
    socket_.async_write_some(
        asio::buffer(sending_), [self = shared_from_this()](Error error, size_t size) {
          self->writing_ = false;
          self->conversation_.OnSent(absl::string_view(self->sending_).substr(size));
          self->Next(error);
        });
  }

  void Wait() {
    waiting_ = true;
    timer_.expires_at(*conversation_.due());
    timer_.async_wait([self = shared_from_this()](Error error) {
      self->waiting_ = false;
      self->Next(error);
    });
  }

  void Next(Error error) {
    if (error && error != asio::error::operation_aborted) return Break();
    Go();
  }

  Socket socket_;
  asio::steady_timer timer_;
  Conversation conversation_;
  std::string sending_;
  bool reading_ = false;
  bool writing_ = false;
  bool waiting_ = false;
  bool over_ = false;   // nothing is begun any more
  zdd::Ticket ticket_;  // the last member, so that it ends before the socket is closed
};

}  // namespace

void StartSession(Socket socket, zdd::Ticket ticket, absl::string_view version_label, State state) {
  Error ignored;  // a Unix socket has no such option
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
  std::make_shared<Session>(std::move(socket), std::move(ticket), version_label, std::move(state))
      ->Start();
}

}  // namespace example
