#include "examples/websocket_chat/order.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/http_server/fields.h"

namespace chat {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;
using Protocol = asio::generic::seq_packet_protocol;
using example::Reader;
using example::Writer;

constexpr std::chrono::milliseconds kSeekAgain(5);
constexpr size_t kPacketBytesMax = 128 << 10;

Protocol::endpoint EndpointOf(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return Protocol::endpoint(&address, sizeof(address));
}

template <typename... Fields>
std::string Packet(const Fields&... fields) {
  Writer write;
  (write(fields), ...);
  return write.Take();
}

}  // namespace

// One end of a connection between two generations: sends packets in their order.
class Order::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(Order* order, Protocol::socket socket) : order_(order), socket_(std::move(socket)) {}

  bool greeted = false;

  void Receive() {
    socket_.async_receive(asio::buffer(packet_), flags_,
                          [self = shared_from_this()](Error error, size_t size) {
                            if (self->closed_) return;
                            if (error || size == 0) return self->order_->OnLinkEnded(self);
                            self->OnPacket({self->packet_.data(), size});
                            if (!self->closed_) self->Receive();
                          });
  }
  void Send(std::string packet) {
    queue_.push_back(std::move(packet));
    if (queue_.size() == 1) SendFirst();
  }
  void Close() {
    closed_ = true;
    Error ignored;
    socket_.close(ignored);
  }
  bool flushed() const { return queue_.empty(); }

 private:
  void OnPacket(absl::string_view packet) {
    if (order_->leader_.get() == this) return order_->OnLeaderSaid(packet);
    order_->OnFollowerSaid(shared_from_this(), packet);
  }
  void SendFirst() {
    socket_.async_send(asio::buffer(queue_.front()), 0,
                       [self = shared_from_this()](Error error, size_t) {
                         if (self->closed_) return;
                         self->queue_.pop_front();
                         if (error) self->queue_.clear();  // its end is received
                         if (!self->queue_.empty()) return self->SendFirst();
                         if (self->order_->finished_)
                           self->order_->Finish(std::move(self->order_->finished_));
                       });
  }

  Order* const order_;
  Protocol::socket socket_;
  asio::socket_base::message_flags flags_ = 0;
  std::array<char, kPacketBytesMax> packet_;
  std::deque<std::string> queue_;
  bool closed_ = false;
};

Order::Order(asio::io_context* io, std::string directory)
    : io_(io), directory_(std::move(directory)), again_(*io), acceptor_(*io) {}

Order::~Order() {
  if (leader_ != nullptr) leader_->Close();
  for (const std::shared_ptr<Link>& follower : followers_) follower->Close();
}

// ---- Who leads

void Order::Seek() {
  const std::string path = absl::StrCat(directory_, "/order.lock");
  zdd::OwnedFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
    lock_ = std::move(lock);
    return Lead();
  }
  Protocol::socket socket(*io_);
  Error error;
  socket.connect(EndpointOf(absl::StrCat(directory_, "/order.sock")), error);
  if (!error) return Follow(std::move(socket));
  again_.expires_after(kSeekAgain);  // he is about to listen, or to go
  again_.async_wait([this](Error cancelled) {
    if (!cancelled) Seek();
  });
}

void Order::Lead() {
  const std::string path = absl::StrCat(directory_, "/order.sock");
  unlink(path.c_str());
  acceptor_.open(Protocol(AF_UNIX, 0));
  acceptor_.bind(EndpointOf(path));
  acceptor_.listen();
  leads_ = ready_ = knows_ = true;
  Accept();
  for (Pending& pending : std::exchange(pending_, {})) {
    Number(pending.room, pending.text, nullptr);
  }
}

void Order::Accept() {
  acceptor_.async_accept([this](Error error, Protocol::socket socket) {
    if (error) return;
    auto link = std::make_shared<Link>(this, std::move(socket));
    followers_.insert(link);
    link->Receive();
    Accept();
  });
}

void Order::Follow(Protocol::socket socket) {
  greeted_ = false;
  leader_ = std::make_shared<Link>(this, std::move(socket));
  leader_->Send(Packet(knows_ ? next_ : uint64_t{0}));
  for (const Pending& pending : pending_) SendPending(pending);
  leader_->Receive();
}

void Order::OnLinkEnded(const std::shared_ptr<Link>& link) {
  link->Close();
  if (followers_.erase(link) > 0) return;
  leader_ = nullptr;
  Seek();
}

// ---- What is said

void Order::Submit(absl::string_view room, absl::string_view text) {
  if (leads_) return Number(std::string(room), std::string(text), nullptr);
  pending_.push_back({std::string(room), std::string(text)});
  if (leader_ != nullptr) SendPending(pending_.back());
}

void Order::SendPending(const Pending& pending) {
  leader_->Send(Packet(pending.room, pending.text));
}

// First the number from which he wants to hear, 0: from now on. Then what his members say.
void Order::OnFollowerSaid(const std::shared_ptr<Link>& link, absl::string_view packet) {
  Reader read(packet);
  if (link->greeted) {
    Pending said;
    read(said.room);
    read(said.text);
    return read.ok() ? Number(said.room, said.text, link.get()) : OnLinkEnded(link);
  }
  uint64_t from = 0;
  read(from);
  if (!read.ok()) return OnLinkEnded(link);
  link->greeted = true;
  link->Send(Packet(from == 0 ? next_ : from));
  for (const Entry& entry : kept_) {
    if (from == 0 || entry.number < from) continue;
    link->Send(Packet(entry.number, false, entry.room, entry.text));
  }
}

void Order::Number(const std::string& room, const std::string& text, const Link* from) {
  const Entry entry = {next_, room, text};
  for (const std::shared_ptr<Link>& follower : followers_) {
    if (!follower->greeted) continue;
    follower->Send(Packet(entry.number, follower.get() == from, room, text));
  }
  Append(entry);
}

void Order::OnLeaderSaid(absl::string_view packet) {
  Reader read(packet);
  Entry entry;
  bool ours = false;
  read(entry.number);
  if (!greeted_) {
    greeted_ = ready_ = knows_ = read.ok();
    next_ = entry.number;
    return;
  }
  read(ours);
  read(entry.room);
  read(entry.text);
  if (!read.ok()) return OnLinkEnded(leader_);
  if (ours && !pending_.empty()) pending_.pop_front();
  if (entry.number >= next_) Append(std::move(entry));
}

void Order::Append(Entry entry) {
  next_ = entry.number + 1;
  kept_.push_back(std::move(entry));
  if (kept_.size() > kKeptMax) kept_.pop_front();
  // A member may leave when he hears something.
  const Entry last = kept_.back();
  for (Member* member : std::vector<Member*>(members_.begin(), members_.end())) {
    if (members_.count(member) > 0) member->OnEntry(last);
  }
}

bool Order::Add(Member* member, uint64_t from) {
  const uint64_t first = kept_.empty() ? next_ : kept_.front().number;
  if (from < first) return false;
  for (const Entry& entry : std::deque<Entry>(kept_)) {
    if (entry.number >= from) member->OnEntry(entry);
  }
  members_.insert(member);
  return true;
}

void Order::Finish(std::function<void()> done) {
  for (const std::shared_ptr<Link>& follower : followers_) {
    if (follower->flushed()) continue;
    finished_ = std::move(done);
    return;
  }
  done();
}

}  // namespace chat
