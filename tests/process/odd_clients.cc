#include "tests/process/odd_clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "zdd/base/owned_fd.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: zdd\r\n\r\n";
constexpr int kRow = 5;
constexpr int kThinkMsMax = 30;
// A slow reader takes about this at a time, and a second for all.
constexpr int kSip = 4 << 10;

std::string BytesBody(size_t size) {
  std::string body;
  for (int line = 0; line < 10'007; ++line) absl::StrAppend(&body, line, "\n");
  const size_t period = body.size();
  while (body.size() < size) body.append(body, 0, period);
  body.resize(size);
  return body;
}

}  // namespace

// One connection at a time. A call that answers false has ended it.
class OddClients::Client {
 public:
  Client(const OddGroup& group, const Address& server, uint64_t seed)
      : group_(group), server_(server), random_(seed) {
    if (group.kind == OddKind::kSlowReader) body_ = BytesBody(group.bytes);
  }

  OddReport report;

  void Round() {
    if (!fd_.valid() && !Connect()) return;
    input_.clear();
    char byte;
    if (recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
      ++report.reconnects;
      return fd_.Reset();
    }
    switch (group_.kind) {
      case OddKind::kPipelined:
        return Pipeline();
      case OddKind::kHalfHead:
        return HalfHead();
      case OddKind::kSlowReader:
        return ReadSlowly();
    }
  }

 private:
  bool Connect() {
    fd_ = OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit = {30, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (group_.kind == OddKind::kSlowReader) {
      // The server's kernel keeps little of an answer for a client of small segments and a small
      // window; else it would take all of it at once.
      const int segment = 536;
      setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &kSip, sizeof(kSip));
      setsockopt(fd_.get(), IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
    }
    return connect(fd_.get(), server_.sockaddr(), server_.size()) == 0 || Lose("connect", errno);
  }

  void Pipeline() {
    std::string row;
    for (int i = 0; i <= kRow; ++i) row += kGet;
    const size_t half = row.size() - strlen(kGet) / 2;
    if (!Send(absl::string_view(row).substr(0, half))) return;
    Think();
    for (int i = 0; i < kRow; ++i) {
      if (!Answer("Hello\n")) return;
    }
    if (Send(absl::string_view(row).substr(half))) Answer("Hello\n");
  }

  void HalfHead() {
    const absl::string_view get = kGet;
    if (!Send(get.substr(0, get.size() / 2))) return;
    Think();
    if (Send(get.substr(get.size() / 2)) && Answer("Hello\n")) Think();
  }

  void ReadSlowly() {
    if (Send(absl::StrCat("GET /bytes/", body_.size(), " HTTP/1.1\r\n\r\n"))) Answer(body_);
  }

  void Think() { poll(nullptr, 0, static_cast<int>(random_() % kThinkMsMax)); }

  bool Send(absl::string_view bytes) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent == static_cast<ssize_t>(bytes.size()) || Lose("send", errno);
  }

  // False too if it was the last one of its connection.
  bool Answer(absl::string_view body) {
    size_t head;
    while ((head = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return false;
    }
    const bool last = absl::StrContains(input_.substr(0, head), "Connection: close");
    const std::string length = absl::StrCat("Content-Length: ", body.size(), "\r\n");
    if (!absl::StrContains(input_.substr(0, head + 2), length)) return Lose("another length", 0);
    input_.erase(0, head + 4);
    while (input_.size() < body.size()) {
      if (!Receive()) return false;
    }
    if (input_.compare(0, body.size(), body.data(), body.size()) != 0) {
      return Lose("another body", 0);
    }
    input_.erase(0, body.size());
    ++report.answers;
    if (!last) return true;
    ++report.reconnects;
    fd_.Reset();
    return false;
  }

  bool Receive() {
    char bytes[kSip];
    if (group_.kind == OddKind::kSlowReader) {
      poll(nullptr, 0, std::max(1, 1000 * kSip / group_.bytes));
    }
    const ssize_t size = recv(fd_.get(), bytes, sizeof(bytes), 0);
    if (size == 0) return Lose("end of file", 0);
    if (size < 0) return Lose("recv", errno);
    input_.append(bytes, size);
    return true;
  }

  bool Lose(absl::string_view what, int error) {
    report.losses.push_back(absl::StrCat(what, error == 0 ? "" : ": ",
                                         error == 0 ? "" : strerror(error), " with ", input_.size(),
                                         " bytes unparsed, kind ", static_cast<int>(group_.kind),
                                         ", after ", report.answers, " answers"));
    fd_.Reset();
    return false;
  }

  const OddGroup group_;
  const Address server_;
  std::minstd_rand random_;
  std::string body_;
  OwnedFd fd_;
  std::string input_;
};

OddClients::OddClients(std::string address, std::vector<OddGroup> groups)
    : address_(std::move(address)), groups_(std::move(groups)), reports_(groups_.size()) {
  for (size_t group = 0; group < groups_.size(); ++group) {
    for (int i = 0; i < groups_[group].connections; ++i) {
      threads_.emplace_back([this, group, seed = threads_.size() + 1] { Run(group, seed); });
    }
  }
}

void OddClients::Run(size_t group, uint64_t seed) {
  Client client(groups_[group], Address::Parse(address_).value(), seed);
  while (!stop_) client.Round();
  MutexLock lock(&mutex_);
  reports_[group].answers += client.report.answers;
  reports_[group].reconnects += client.report.reconnects;
  for (std::string& loss : client.report.losses) {
    reports_[group].losses.push_back(std::move(loss));
  }
}

std::vector<OddReport> OddClients::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  MutexLock lock(&mutex_);
  return reports_;
}

}  // namespace zdd
