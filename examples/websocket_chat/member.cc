#include "examples/websocket_chat/member.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/http_server/fields.h"
#include "examples/websocket_chat/frames.h"
#include "examples/websocket_chat/handshake.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/ask.h"

namespace chat {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
using Phase = MemberState::Phase;

constexpr size_t kHeadBytesMax = 8 << 10;
constexpr size_t kOutputBytesMax = 512 << 10;  // then he reads too slowly, and must go
constexpr int kProtocolError = 1002;
constexpr int kServiceRestart = 1012;

template <typename State, typename Field>
void EachField(State& state, Field& field) {
  field(state.input);
  field(state.output);
  field(state.phase, Phase::kClosing);
  field(state.room);
  field(state.name);
  field(state.in_message);
  field(state.message);
  field(state.next);
}

class Session : public Order::Member, public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, zdd::Ticket ticket, Order* order, MemberState state)
      : socket_(std::move(socket)),
        executor_(socket_.get_executor()),
        order_(order),
        state_(std::move(state)),
        ticket_(std::move(ticket)) {}

  void Start() {
    ticket_.OnAsk([weak = weak_from_this()](zdd::Ask) {
      if (std::shared_ptr<Session> self = weak.lock()) Post(std::move(self));
    });
    ticket_.SetBusy(true);
    if (state_.phase == Phase::kOpen && !order_->Add(this, state_.next)) return;
    Post(shared_from_this());
  }

  void OnEntry(const Entry& entry) override {
    if (over_ || entry.number < state_.next) return;
    state_.next = entry.number + 1;
    if (state_.phase != Phase::kOpen || entry.room != state_.room) return;
    state_.output += MakeFrame(Opcode::kText, entry.text);
    Post(shared_from_this());
  }

 private:
  static void Post(std::shared_ptr<Session> self) {
    const asio::any_io_executor executor = self->executor_;
    asio::post(executor, [self = std::move(self)] { self->Go(); });
  }

  // Every handler, entry and ask ends here.
  void Go() {
    if (over_ || MustPause()) return;
    while (state_.phase != Phase::kClosing && Step()) {
    }
    if (state_.output.size() > kOutputBytesMax) return End();
    if (state_.phase == Phase::kClosing && state_.output.empty() && !writing_) return End();
    if (!writing_ && !state_.output.empty()) Write();
    if (!reading_) Read();
  }

  // ---- what zdd asks

  bool MustPause() {
    const zdd::Ask asked = ticket_.Asked();
    if (asked == zdd::Ask::kMigrate) {
      if (reading_ || writing_) {
        Cancel();
      } else {
        Move();
      }
      return true;
    }
    if (asked >= zdd::Ask::kCloseWhenIdle) {
      End();
      return true;
    }
    if (asked == zdd::Ask::kGoodbye) Close(kServiceRestart);
    return false;
  }

  void Move() {
    over_ = true;
    order_->Remove(this);
    std::move(ticket_).Migrate(zdd::OwnedFd(socket_.release()), Save(state_));
  }

  void End() {
    over_ = true;
    order_->Remove(this);
    Cancel();
  }

  void Cancel() {
    Error ignored;
    socket_.cancel(ignored);
  }

  // ---- the protocol

  // False: more must come first.
  bool Step() {
    if (state_.phase == Phase::kHead) return TakeHead();
    absl::string_view input = state_.input;
    Frame frame;
    const Took took = TakeFrame(&input, &frame);
    if (took == Took::kNeedMore) return false;
    state_.input.erase(0, state_.input.size() - input.size());
    if (took == Took::kWrong) return Close(kProtocolError);
    return OnFrame(std::move(frame));
  }

  bool TakeHead() {
    const size_t end = state_.input.find("\r\n\r\n");
    if (end == std::string::npos) return state_.input.size() > kHeadBytesMax && Close(0);
    Handshake handshake = Answer(absl::string_view(state_.input).substr(0, end + 4));
    state_.input.erase(0, end + 4);
    state_.output += handshake.response;
    if (!handshake.ok) return Close(0);
    state_.room = std::move(handshake.room);
    state_.name = std::move(handshake.name);
    state_.phase = Phase::kOpen;
    state_.next = order_->next();
    order_->Add(this, state_.next);
    return true;
  }

  bool OnFrame(Frame frame) {
    switch (frame.opcode) {
      case Opcode::kClose:
        return Close(1000);
      case Opcode::kPing:
        state_.output += MakeFrame(Opcode::kPong, frame.payload);
        return true;
      case Opcode::kPong:
        return true;
      case Opcode::kText:
      case Opcode::kContinuation:
        return OnFragment(frame);
    }
    return true;
  }

  bool OnFragment(const Frame& frame) {
    const bool goes_on = frame.opcode == Opcode::kContinuation;
    if (goes_on != state_.in_message) return Close(kProtocolError);
    state_.message += frame.payload;
    state_.in_message = !frame.last;
    if (state_.message.size() > kMessageBytesMax) return Close(kProtocolError);
    if (!frame.last) return true;
    const std::string text = absl::StrCat(state_.name, ": ", std::exchange(state_.message, ""));
    order_->Submit(state_.room, text);
    return true;
  }

  // 0: it is no WebSocket yet.
  bool Close(int code) {
    if (state_.phase == Phase::kOpen) state_.output += MakeClose(code);
    state_.phase = Phase::kClosing;
    return false;
  }

  // ---- the socket

  void Read() {
    reading_ = true;
    socket_.async_read_some(asio::buffer(received_),
                            [self = shared_from_this()](Error error, size_t size) {
                              self->reading_ = false;
                              self->state_.input.append(self->received_.data(), size);
                              self->Next(error);
                            });
  }

  void Write() {
    writing_ = true;
    sending_ = std::exchange(state_.output, "");
    socket_.async_write_some(asio::buffer(sending_),
                             [self = shared_from_this()](Error error, size_t size) {
                               self->writing_ = false;
                               self->state_.output.insert(0, self->sending_.substr(size));
                               self->Next(error);
                             });
  }

  void Next(Error error) {
    if (error && error != asio::error::operation_aborted) return End();
    Go();
  }

  Socket socket_;
  const asio::any_io_executor executor_;
  Order* const order_;
  MemberState state_;
  std::array<char, 4096> received_;
  std::string sending_;
  bool reading_ = false;
  bool writing_ = false;
  bool over_ = false;
  zdd::Ticket ticket_;  // the last member, so that it ends before the socket is closed
};

}  // namespace

std::string Save(const MemberState& state) {
  example::Writer writer;
  EachField(state, writer);
  return writer.Take();
}

absl::optional<MemberState> Load(absl::string_view bytes) {
  MemberState state;
  example::Reader reader(bytes);
  EachField(state, reader);
  if (!reader.ok()) return absl::nullopt;
  return state;
}

void StartMember(Socket socket, zdd::Ticket ticket, Order* order, MemberState state) {
  Error ignored;  // a Unix socket has no such option
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  std::make_shared<Session>(std::move(socket), std::move(ticket), order, std::move(state))->Start();
}

}  // namespace chat
