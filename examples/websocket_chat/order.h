// Order puts the messages of all rooms in one order, for all generations of the chat that live.
//
//   Order order(&io, "/run/chat");
//   order.Start();
//   order.Add(member, order.next());      // hears OnEntry() of each entry from that number on
//   order.Submit("kitchen", "ann: hello");
//
// While connections move, members of one room are in two processes. So one of the processes, the
// leader, numbers the messages: whoever holds the lock of `DIR/order.lock`, which the kernel frees
// when he is gone. The others follow him by a Unix socket (SOCK_SEQPACKET, DIR/order.sock): they
// send him what their members say, and get every entry in its order. Where the leader ends, another
// process gets the lock and goes on with the next number, and what was not yet numbered is sent
// again.
//
// Each member knows the number of the next entry that he is to hear, and takes that along when he
// moves; each process keeps the last entries. So where he arrives he gets what was said on his way,
// and nothing twice; and who said two things in two processes is heard in that order, since both
// were numbered by one.
//
// A leader that crashes may take the last entries with it that it told its own members.
//
// Threads: that of `io`. Lifetime: members are removed before they die.
#ifndef EXAMPLES_WEBSOCKET_CHAT_ORDER_H_
#define EXAMPLES_WEBSOCKET_CHAT_ORDER_H_

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/seq_packet_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "zdd/base/owned_fd.h"

namespace chat {

struct Entry {
  uint64_t number = 0;
  std::string room;
  std::string text;
};

class Order {
 public:
  static constexpr size_t kKeptMax = 65536;

  class Member {
   public:
    virtual ~Member() = default;
    virtual void OnEntry(const Entry& entry) = 0;
  };

  Order(boost::asio::io_context* io, std::string directory);
  ~Order();

  void Start() { Seek(); }
  bool ready() const { return ready_; }    // it has a leader, or leads
  uint64_t next() const { return next_; }  // the number of the next entry

  // False: what he is to hear first is no longer kept.
  bool Add(Member* member, uint64_t from);
  void Remove(Member* member) { members_.erase(member); }

  void Submit(absl::string_view room, absl::string_view text);

  // All that was said is told to the followers; then `done`.
  void Finish(std::function<void()> done);

 private:
  using Protocol = boost::asio::generic::seq_packet_protocol;
  class Link;
  struct Pending {
    std::string room;
    std::string text;
  };

  void Seek();
  void Lead();
  void Accept();
  void Follow(Protocol::socket socket);
  void OnFollowerSaid(const std::shared_ptr<Link>& link, absl::string_view packet);
  void OnLeaderSaid(absl::string_view packet);
  void OnLinkEnded(const std::shared_ptr<Link>& link);
  void Number(const std::string& room, const std::string& text, const Link* from);
  void Append(Entry entry);
  void SendPending(const Pending& pending);

  boost::asio::io_context* const io_;
  const std::string directory_;
  boost::asio::steady_timer again_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  zdd::OwnedFd lock_;
  bool leads_ = false;
  bool ready_ = false;
  bool greeted_ = false;  // by the leader
  bool knows_ = false;    // next_ is not a guess
  uint64_t next_ = 1;
  std::deque<Entry> kept_;
  std::deque<Pending> pending_;  // sent to the leader, and not numbered yet
  std::set<Member*> members_;
  std::shared_ptr<Link> leader_;
  std::set<std::shared_ptr<Link>> followers_;
  std::function<void()> finished_;
};

}  // namespace chat

#endif  // EXAMPLES_WEBSOCKET_CHAT_ORDER_H_
