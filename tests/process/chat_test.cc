// Members of rooms talk by WebSockets of Boost.Beast, some in fragments, while their server is
// replaced again and again: each hears all that is said in his room once, in one order that is the
// same for all, and nobody is disconnected.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/process/embedded_server.h"
#include "tests/util/free_address.h"
#include "tests/util/temp_dir.h"

namespace zdd {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr int kRooms = 2;
constexpr int kMembers = 4;  // of each
constexpr int kRestarts = 20;

// One member, in a thread of his own: says something, and listens until he hears it himself.
class Member {
 public:
  Member(const std::string& address, int room, int number)
      : room_(absl::StrCat("room", room)), name_(absl::StrCat("m", number)), ws_(io_) {
    const std::vector<std::string> parts = absl::StrSplit(address, ':');
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(parts.back(), &port));
    ws_.next_layer().connect({asio::ip::make_address("127.0.0.1"), static_cast<uint16_t>(port)});
    ws_.next_layer().set_option(asio::ip::tcp::no_delay(true));
    ws_.handshake("chat", absl::StrCat("/chat?room=", room_, "&name=", name_));
    ws_.text(true);
  }

  void TalkUntil(const std::atomic<bool>& enough) {
    thread_ = std::thread([this, &enough] {
      while (!enough && ok_) Say();
    });
  }
  void Join() { thread_.join(); }

  // Until he has heard `count` in all.
  void ListenFor(size_t count) {
    while (heard_.size() < count && ok_) Listen();
  }

  int said() const { return said_; }
  bool ok() const { return ok_; }
  const std::vector<std::string>& heard() const { return heard_; }
  const std::string& name() const { return name_; }

 private:
  void Say() {
    ++said_;
    const std::string text = absl::StrCat(name_, " says ", said_, std::string(said_ % 300, '.'));
    beast::error_code error;
    if (said_ % 2 == 0) {
      ws_.write(asio::buffer(text), error);
    } else {  // in fragments, with time between them
      for (size_t at = 0; at < text.size() && !error; at += text.size() / 3 + 1) {
        const std::string part = text.substr(at, text.size() / 3 + 1);
        ws_.write_some(at + part.size() == text.size(), asio::buffer(part), error);
        usleep(3000);
      }
    }
    Check(error);
    const std::string own = absl::StrCat(name_, ": ", text);
    do Listen();
    while (ok_ && heard_.back() != own);
  }

  void Listen() {
    beast::flat_buffer buffer;
    beast::error_code error;
    ws_.read(buffer, error);
    Check(error);
    if (ok_) heard_.push_back(beast::buffers_to_string(buffer.data()));
  }

  void Check(const beast::error_code& error) {
    EXPECT_FALSE(error) << name_ << " of " << room_ << ": " << error.message();
    if (error) ok_ = false;
  }

  const std::string room_;
  const std::string name_;
  asio::io_context io_;
  beast::websocket::stream<asio::ip::tcp::socket> ws_;
  int said_ = 0;
  bool ok_ = true;
  std::vector<std::string> heard_;
  std::thread thread_;
};

// All that each said, in his order; and each heard the same.
void ExpectOneOrder(const std::vector<std::unique_ptr<Member>>& room) {
  for (const auto& member : room) {
    EXPECT_EQ(member->heard(), room[0]->heard()) << member->name();
    int number = 0;
    for (const std::string& text : room[0]->heard()) {
      if (text.rfind(member->name() + ": ", 0) != 0) continue;
      ++number;
      EXPECT_EQ(text, absl::StrCat(member->name(), ": ", member->name(), " says ", number,
                                   std::string(number % 300, '.')));
    }
    EXPECT_EQ(number, member->said());
  }
}

TEST(ChatTest, NobodyMissesAWordNorLeavesOverManyRestarts) {
  TempDir dir;
  const std::string directory = dir.File("chat");
  ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
  const std::string address = FreeAddress().value();
  EmbeddedServer server("examples/websocket_chat/websocket_chat",
                        {"--listen=" + address, "--directory=" + directory, "--standby=50ms"});
  pid_t owner = server.Start();
  server.Await("generation 1 is serving");
  std::vector<std::vector<std::unique_ptr<Member>>> rooms(kRooms);
  for (int room = 0; room < kRooms; ++room) {
    for (int i = 0; i < kMembers; ++i) {
      rooms[room].push_back(std::make_unique<Member>(address, room, i));
    }
  }
  std::atomic<bool> enough{false};
  for (auto& room : rooms) {
    for (auto& member : room) member->TalkUntil(enough);
  }
  for (int generation = 2; generation < 2 + kRestarts; ++generation) {
    server.Signal(owner, SIGUSR2);
    server.Await(absl::StrCat("generation ", generation, " is accepting"));
    const pid_t successor = server.ChildOf(owner);
    server.Await(absl::StrCat("generation ", generation, " is serving"));
    EXPECT_EQ(server.AwaitExit(owner), 0) << server.log();
    owner = successor;
    usleep(100'000);
  }
  enough = true;
  for (auto& room : rooms) {
    for (auto& member : room) member->Join();
    size_t said = 0;
    for (auto& member : room) said += member->said();
    for (auto& member : room) member->ListenFor(said);
    ExpectOneOrder(room);
    EXPECT_GT(said, 100u);
    std::cout << "room: " << said << " said, heard by " << room.size() << "\n";
  }
}

}  // namespace
}  // namespace zdd
