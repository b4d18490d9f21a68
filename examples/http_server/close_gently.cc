#include "examples/http_server/close_gently.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace example {
namespace {

using Error = boost::system::error_code;

constexpr std::chrono::seconds kTime(2);
constexpr size_t kBytesMax = 1 << 20;

class Closing : public std::enable_shared_from_this<Closing> {
 public:
  Closing(Socket socket, zdd::Ticket ticket)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), ticket_(std::move(ticket)) {}

  void Start() {
    Error ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    timer_.expires_after(kTime);
    timer_.async_wait([self = shared_from_this()](Error) { self->GiveUp(); });
    Discard();
  }

 private:
  void Discard() {
    socket_.async_read_some(boost::asio::buffer(unread_),
                            [self = shared_from_this()](Error error, size_t size) {
                              self->discarded_ += size;
                              if (error || self->discarded_ > kBytesMax) {
                                self->timer_.cancel();
                              } else {
                                self->Discard();
                              }
                            });
  }

  void GiveUp() {
    Error ignored;
    socket_.cancel(ignored);
  }

  Socket socket_;
  boost::asio::steady_timer timer_;
  std::array<char, 4096> unread_;
  size_t discarded_ = 0;
  zdd::Ticket ticket_;  // the last member, so that it ends before the socket is closed
};

}  // namespace

void CloseGently(Socket socket, zdd::Ticket ticket) {
  std::make_shared<Closing>(std::move(socket), std::move(ticket))->Start();
}

}  // namespace example
