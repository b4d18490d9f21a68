// Boost.Beast's WebSocket client while the server replaces itself: each connection ends by a close
// frame that says why, and each message is answered, at the second try if it crossed that.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/goodbye/restarted_server.h"

namespace zdd {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr uint16_t kServiceRestart = 1012;  // IANA

// Says one message after the other until it is stopped, over as many connections as it takes.
class Client {
 public:
  explicit Client(int port) : port_(port) {}

  void Run() {
    while (!over_) TalkOnOneConnection();
  }
  void Stop() { over_ = true; }

  std::atomic<int> answers{0};
  std::string last_answer;
  int goodbyes = 0;
  std::vector<std::string> faults;

 private:
  using Stream = websocket::stream<asio::ip::tcp::socket>;

  void TalkOnOneConnection() {
    asio::io_context context;
    Stream stream(context);
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), port_});
    stream.handshake("zdd", "/");
    beast::error_code error;
    while (!over_ && !error) Say(&stream, &error);
    if (!error) return stream.close(websocket::close_code::normal);
    ++goodbyes;
    if (error != websocket::error::closed || stream.reason().code != kServiceRestart) {
      faults.push_back(absl::StrCat(error.message(), ", code ", stream.reason().code));
      over_ = true;
    }
  }

  void Say(Stream* stream, beast::error_code* error) {
    const std::string message = absl::StrCat("message ", answers.load());
    stream->write(asio::buffer(message), *error);
    beast::flat_buffer buffer;
    if (!*error) stream->read(buffer, *error);
    if (*error) return;
    const std::string answer = beast::buffers_to_string(buffer.data());
    if (!absl::EndsWith(answer, " " + message)) faults.push_back("answer " + answer);
    ++answers;
    last_answer = answer;
    poll(nullptr, 0, 1);  // leaves the machine some time
  }

  const uint16_t port_;
  std::atomic<bool> over_{false};
};

TEST(WebSocketTest, EachConnectionHearsWhyItEndsAndNoMessageIsLost) {
  constexpr int kClients = 8;
  RestartedServer server("tests/goodbye/server", {"websocket"}, {});
  const pid_t first = server.StartFirst();
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    threads.emplace_back([client = clients.back().get()] { client->Run(); });
  }
  for (const std::unique_ptr<Client>& client : clients) {
    while (client->answers == 0) poll(nullptr, 0, 1);
  }
  const pid_t second = server.Replace(first, 2);
  const pid_t third = server.Replace(second, 3);
  for (int i = 0; i < kClients; ++i) {
    clients[i]->Stop();
    threads[i].join();
    EXPECT_GE(clients[i]->goodbyes, 2);
    EXPECT_TRUE(absl::StartsWith(clients[i]->last_answer, "3 "));
    EXPECT_EQ(clients[i]->faults, std::vector<std::string>());
  }
  server.Stop(third);
}

}  // namespace
}  // namespace zdd
