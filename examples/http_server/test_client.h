// Client is the other end of a session under test, byte by byte; Connect() makes both ends.
//
//   auto [client, server] = Connect();
//   Client bytes(std::move(client));
//   bytes.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   bytes.ReadResponse();
//
// Threads: one may send while another reads. Errors: failures of the test.
#ifndef EXAMPLES_HTTP_SERVER_TEST_CLIENT_H_
#define EXAMPLES_HTTP_SERVER_TEST_CLIENT_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "zdd/base/owned_fd.h"

namespace example {

// A client's end that blocks, for ten seconds at most.
class Client {
 public:
  explicit Client(zdd::OwnedFd fd) : fd_(std::move(fd)) {
    timeval limit = {.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  int fd() const { return fd_.get(); }

  // False if the connection broke, or the server does not read.
  bool Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t size = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size < 0) return false;
      bytes.remove_prefix(size);
    }
    return true;
  }

  void EndSending() { shutdown(fd_.get(), SHUT_WR); }

  // Everything up to `end`, with it; less if the connection ended before.
  std::string ReadUntil(absl::string_view end) {
    size_t found;
    while ((found = unread_.find(std::string(end))) == std::string::npos && ReadSome()) {
    }
    return TakeUnread(found == std::string::npos ? unread_.size() : found + end.size());
  }

  std::string Read(size_t size) {
    while (unread_.size() < size && ReadSome()) {
    }
    return TakeUnread(std::min(size, unread_.size()));
  }

  // A head, and as much of a body as its Content-Length says.
  std::string ReadResponse() {
    std::string head = ReadUntil("\r\n\r\n");
    int size = 0;
    size_t length = head.find("Content-Length: ");
    if (length != std::string::npos) {
      EXPECT_TRUE(
          absl::SimpleAtoi(head.substr(length + 16, head.find('\r', length) - length - 16), &size));
    }
    return head + Read(size);
  }

  // Everything until the server ends its direction. Fails if it resets the connection.
  std::string ReadToEnd() {
    while (ReadSome()) {
    }
    return TakeUnread(unread_.size());
  }

 private:
  bool ReadSome() {
    char piece[4096];
    ssize_t size = recv(fd_.get(), piece, sizeof piece, 0);
    EXPECT_GE(size, 0) << strerror(errno);
    if (size > 0) unread_.append(piece, size);
    return size > 0;
  }

  std::string TakeUnread(size_t size) {
    std::string taken = unread_.substr(0, size);
    unread_.erase(0, size);
    return taken;
  }

  zdd::OwnedFd fd_;
  std::string unread_;
};

// Two ends of a TCP connection.
inline std::pair<zdd::OwnedFd, zdd::OwnedFd> Connect() {
  zdd::OwnedFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener.get(), generic, size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), generic, &size), 0);
  zdd::OwnedFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(client.get(), generic, size), 0);
  return {std::move(client), zdd::OwnedFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_TEST_CLIENT_H_
