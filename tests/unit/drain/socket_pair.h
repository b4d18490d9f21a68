// Connected sockets for tests: TCP over loopback, where resets and acknowledgements are real.
//
// Threads: any.
#ifndef TESTS_UNIT_DRAIN_SOCKET_PAIR_H_
#define TESTS_UNIT_DRAIN_SOCKET_PAIR_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

struct SocketPair {
  OwnedFd server;
  OwnedFd client;
};

inline SocketPair TcpPair() {
  OwnedFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  sockaddr* any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener.get(), any, size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), any, &size), 0);
  SocketPair pair;
  pair.client = OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(pair.client.get(), any, size), 0);
  pair.server = OwnedFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(pair.server.valid());
  return pair;
}

inline SocketPair UnixPair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

inline void Send(int fd, absl::string_view text) {
  EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

// All that comes until the end of file; "RESET" at the end if it is one.
inline std::string ReadToEnd(int fd) {
  std::string all;
  char buffer[4096];
  for (;;) {
    const ssize_t bytes = recv(fd, buffer, sizeof(buffer), 0);
    if (bytes == 0) return all;
    if (bytes < 0) return all + "RESET";
    all.append(buffer, static_cast<size_t>(bytes));
  }
}

// Waits until poll() says one of `events` of the fd.
inline void AwaitEvents(int fd, short events) {
  pollfd poll_fd = {fd, events, 0};
  ASSERT_EQ(poll(&poll_fd, 1, 10000), 1);
}

}  // namespace zdd

#endif  // TESTS_UNIT_DRAIN_SOCKET_PAIR_H_
