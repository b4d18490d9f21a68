#include "tests/process/answering.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "zdd/drain/close_gently.h"

namespace zdd {
namespace {

bool SendAll(int fd, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += n;
      continue;
    }
    pollfd polled = {fd, POLLOUT, 0};
    if (n < 0 && errno == EAGAIN && poll(&polled, 1, 5000) == 1) continue;
    return false;
  }
  return true;
}

}  // namespace

void Serve(Connection connection, std::string version) {
  const int fd = connection.fd.get();
  std::string input = std::move(connection.state);
  char buffer[16384];
  int asked = connection.ticket.AskedFd();
  connection.ticket.SetBusy(!input.empty());
  for (;;) {
    size_t end;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
      if (connection.ticket.Asked() == Ask::kMigrate) {
        return std::move(connection.ticket).Migrate(std::move(connection.fd), std::move(input));
      }
      pollfd polled[] = {{fd, POLLIN, 0}, {asked, POLLIN, 0}};
      poll(polled, 2, asked < 0 && connection.ticket.Asked() == Ask::kNone ? 100 : -1);
      if (polled[1].revents != 0) asked = -1;
      ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return connection.ticket.Reset();
      if (n > 0) connection.ticket.SetBusy(true);
      if (n > 0) input.append(buffer, n);
    }
    std::string head = input.substr(0, end);
    input.erase(0, end + 4);
    int slow_ms = 0;
    size_t slow = head.find("/slow?ms=");
    if (slow != std::string::npos) slow_ms = std::atoi(head.c_str() + slow + 9);
    if (slow_ms > 0) poll(nullptr, 0, slow_ms);
    const bool close =
        connection.ticket.ShouldClose() || absl::StrContains(head, "onnection: close");
    const std::string body = "hello\n";
    std::string response =
        absl::StrCat("HTTP/1.1 200 OK\r\nX-Version: ", version, "\r\nContent-Length: ", body.size(),
                     close ? "\r\nConnection: close" : "", "\r\n\r\n", body);
    if (!SendAll(fd, response)) return connection.ticket.Reset();
    if (close) {
      CloseGently(std::move(connection.fd), std::move(connection.ticket));
      return;
    }
    if (input.empty()) connection.ticket.SetBusy(false);
  }
}

void ThreadAcceptor::Start(int socket, OwnedFd fd) {
  auto stop = std::make_shared<std::atomic<bool>>(false);
  stops_[socket] = stop;
  threads_[socket] = std::thread([this, stop, fd = std::move(fd)]() mutable {
    while (!*stop) {
      pollfd polled = {fd.get(), POLLIN, 0};
      if (poll(&polled, 1, 10) != 1) continue;
      OwnedFd accepted(accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!accepted.valid()) continue;
      Connection connection;
      connection.ticket = listener_.Enter(accepted.get());
      connection.fd = std::move(accepted);
      std::thread(Serve, std::move(connection), version_).detach();
    }
  });
}

void ThreadAcceptor::Stop(int socket, Task stopped) {
  *stops_[socket] = true;
  std::thread([thread = std::move(threads_[socket]), stopped = std::move(stopped)]() mutable {
    thread.join();
    stopped();
  }).detach();
}

void EchoAcceptor::Start(int /*socket*/, OwnedFd fd) {
  stop_ = false;
  thread_ = std::thread([this, fd = std::move(fd)] {
    while (!stop_) {
      pollfd polled = {fd.get(), POLLIN, 0};
      if (poll(&polled, 1, 10) == 1) Answer(fd.get());
    }
  });
}

void EchoAcceptor::Stop(int /*socket*/, Task stopped) {
  stop_ = true;
  std::thread([thread = std::move(thread_), stopped = std::move(stopped)]() mutable {
    thread.join();
    stopped();
  }).detach();
}

void EchoAcceptor::Answer(int fd) const {
  char text[512];
  sockaddr_storage from;
  socklen_t size = sizeof(from);
  auto* address = reinterpret_cast<sockaddr*>(&from);
  const ssize_t n = recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, address, &size);
  if (n < 0) return;
  const std::string answer = absl::StrCat(version_, " ", absl::string_view(text, n));
  sendto(fd, answer.data(), answer.size(), 0, address, size);
}

}  // namespace zdd
