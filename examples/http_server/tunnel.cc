#include "examples/http_server/tunnel.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <utility>

namespace example {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr size_t kBufferBytes = 16 << 10;

class Tunnel : public std::enable_shared_from_this<Tunnel> {
 public:
  Tunnel(Socket socket, zdd::Ticket ticket, std::string received)
      : socket_(std::move(socket)), incoming_(std::move(received)), ticket_(std::move(ticket)) {}

  // While one buffer is written, the other is read; when both have come to rest, they change
  // places.
  void Turn() {
    if (reading_ || writing_ || broken_) return;
    outgoing_.swap(incoming_);
    if (!outgoing_.empty()) Write();
    if (!ended_) Read();
    if (ended_ && !writing_) Finish();
  }

 private:
  void Read() {
    reading_ = true;
    incoming_.resize(kBufferBytes);
    socket_.async_read_some(asio::buffer(incoming_),
                            [self = shared_from_this()](Error error, size_t size) {
                              self->reading_ = false;
                              self->incoming_.resize(size);
                              self->ended_ = static_cast<bool>(error);
                              self->Turn();
                            });
  }

  void Write() {
    writing_ = true;
    asio::async_write(socket_, asio::buffer(outgoing_),
                      [self = shared_from_this()](Error error, size_t) {
                        self->writing_ = false;
                        self->outgoing_.clear();
                        if (error) return self->Break();
                        self->Turn();
                      });
  }

  // Everything that came has gone back.
  void Finish() {
    Error ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void Break() {
    Error ignored;
    broken_ = true;
    socket_.cancel(ignored);
  }

  Socket socket_;
  std::string incoming_;
  std::string outgoing_;
  bool reading_ = false;
  bool writing_ = false;
  bool ended_ = false;  // the client sends no more
  bool broken_ = false;
  zdd::Ticket ticket_;  // the last member, so that it ends before the socket is closed
};

}  // namespace

void StartTunnel(Socket socket, zdd::Ticket ticket, std::string received) {
  std::make_shared<Tunnel>(std::move(socket), std::move(ticket), std::move(received))->Turn();
}

}  // namespace example
