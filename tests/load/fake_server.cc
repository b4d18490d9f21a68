#include "tests/load/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/load/exchange.h"

namespace zdd {
namespace {

constexpr int kBacklog = 1024;
constexpr int kStreamCut = 3;  // lines of a stream that is cut

bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Receives until `buffer` holds `size` bytes.
bool Fill(int fd, std::string* buffer, size_t size) {
  char bytes[4096];
  while (buffer->size() < size) {
    const ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    if (got <= 0) return false;
    buffer->append(bytes, static_cast<size_t>(got));
  }
  return true;
}

int64_t NumberAfter(absl::string_view text, absl::string_view name) {
  const size_t at = text.find(name);
  if (at == absl::string_view::npos) return 0;
  absl::string_view digits = text.substr(at + name.size());
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  int64_t number = 0;
  return absl::SimpleAtoi(digits, &number) ? number : 0;
}

// What close() does now is a reset.
void ArmReset(int fd) {
  const linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace

struct FakeServer::Request {
  std::string head;
  int number = 0;       // on its connection, from 1
  std::string* buffer;  // what came after the head
  absl::string_view target() const { return absl::string_view(head).substr(0, head.find("\r\n")); }
};

FakeServer::FakeServer(Fault fault)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      fault_(fault) {
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  (void)bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size);
  (void)listen(listener_.get(), kBacklog);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  address_ = absl::StrCat("tcp://127.0.0.1:", ntohs(address.sin_port));
  thread_ = std::thread([this] { Accept(); });
}

FakeServer::~FakeServer() {
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
  std::list<Connection> connections;
  {
    MutexLock lock(&mutex_);
    connections.swap(connections_);
  }
  for (Connection& connection : connections) {
    shutdown(connection.fd.get(), SHUT_RDWR);
    connection.thread.join();
  }
}

void FakeServer::SetVersion(absl::string_view version) {
  MutexLock lock(&mutex_);
  version_ = std::string(version);
}

void FakeServer::Accept() {
  for (;;) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents) return;
    OwnedFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (Has(Fault::kResetOnAccept)) ArmReset(fd.get());
    if (Has(Fault::kResetOnAccept) || Has(Fault::kCloseOnAccept)) continue;
    MutexLock lock(&mutex_);
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, fd = connection.fd.get()] { Serve(fd); });
  }
}

void FakeServer::Serve(int fd) {
  std::string buffer;
  Request request = {.buffer = &buffer};
  bool open = true;
  while (open) {
    size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill(fd, &buffer, buffer.size() + 1)) break;
    }
    if (end == std::string::npos) break;
    request.head = buffer.substr(0, end + 4);
    ++request.number;
    buffer.erase(0, end + 4);
    open = Answer(fd, request) && !absl::StrContains(request.head, "Connection: close");
  }
  // The descriptor stays ours until the end, so that nobody shuts down a stranger's. To the client
  // this is a close; a reset comes by connecting to nowhere (see connect(2), AF_UNSPEC).
  if (Has(Fault::kResetUnderRequest) || Has(Fault::kResetIdle) || Has(Fault::kResetInBody)) {
    const sockaddr nowhere = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &nowhere, sizeof(nowhere));
  }
  shutdown(fd, SHUT_RDWR);
}

bool FakeServer::Answer(int fd, const Request& request) {
  const absl::string_view target = request.target();
  if (Has(Fault::kStall)) {
    std::string ignored;
    return Fill(fd, &ignored, SIZE_MAX);
  }
  if (Has(Fault::kGarbage)) return SendAll(fd, "220 mail.example ESMTP\r\n");
  if (Has(Fault::kStatus503)) return SendText(fd, "503 Service Unavailable", "later\n");
  if ((Has(Fault::kCloseUnderRequest) || Has(Fault::kResetUnderRequest)) && request.number > 1) {
    return false;
  }
  if (absl::StartsWith(target, "POST /upload")) return AnswerUpload(fd, request);
  if (absl::StartsWith(target, "GET /stream")) return AnswerStream(fd, request);
  if (absl::StartsWith(target, "GET /lines")) return AnswerStream(fd, request);
  if (absl::StartsWith(target, "GET /echo")) return AnswerEcho(fd, request), false;
  if (absl::StartsWith(target, "GET /slow")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(NumberAfter(target, "ms=")));
  }
  return AnswerText(fd, "a fixed text\n");
}

bool FakeServer::AnswerText(int fd, absl::string_view text) {
  if (Has(Fault::kCutInHead)) return SendAll(fd, "HTTP/1.1 200 OK\r\nContent-"), false;
  if (Has(Fault::kCutInBody) || Has(Fault::kResetInBody)) {
    SendAll(fd, absl::StrCat(Head("200 OK", "Content-Length: 100\r\n"), text));
    return false;
  }
  if (Has(Fault::kWrongText)) return SendText(fd, "200 OK", absl::StrCat(text, ++texts_));
  if (!SendText(fd, "200 OK", text)) return false;
  if (Has(Fault::kStrayBytes)) SendAll(fd, "and more");
  return !Has(Fault::kSayClose) && !Has(Fault::kCloseIdle) && !Has(Fault::kResetIdle);
}

bool FakeServer::AnswerUpload(int fd, const Request& request) {
  std::string& body = *request.buffer;
  if (Has(Fault::kAnswerEarly)) return SendText(fd, "200 OK", UploadAnswer(body));
  const size_t size = static_cast<size_t>(NumberAfter(request.head, "Content-Length: "));
  if (!Fill(fd, &body, size)) return false;
  if (Has(Fault::kWrongHash)) body[size / 2] ^= 1;
  const bool sent = SendText(fd, "200 OK", UploadAnswer(absl::string_view(body).substr(0, size)));
  body.erase(0, size);
  return sent;
}

bool FakeServer::AnswerStream(int fd, const Request& request) {
  if (!SendAll(fd, Head("200 OK", "Transfer-Encoding: chunked\r\n"))) return false;
  const bool at_once = absl::StartsWith(request.target(), "GET /lines");
  int64_t lines =
      at_once ? NumberAfter(request.target(), "n=") : NumberAfter(request.target(), "ms=") / 10;
  if (Has(Fault::kEndStreamEarly)) lines = kStreamCut;
  for (int64_t line = 0; line < lines; ++line) {
    if (Has(Fault::kCutStream) && line == kStreamCut) return false;
    if (!at_once) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const bool skip = Has(Fault::kSkipLine) && line >= kStreamCut;
    if (!SendAll(fd, absl::StrFormat("9\r\n%08d\n\r\n", line + skip))) return false;
  }
  return SendAll(fd, "0\r\n\r\n");
}

void FakeServer::AnswerEcho(int fd, const Request& request) {
  if (!SendAll(fd, Head("101 Switching Protocols", "Connection: Upgrade\r\nUpgrade: echo\r\n")))
    return;
  std::string& bytes = *request.buffer;
  for (bool first = true;; first = false) {
    if (bytes.empty() && !Fill(fd, &bytes, 1)) return;
    if (Has(Fault::kCutEcho) && !first) return;
    if (Has(Fault::kWrongEcho) && !first) bytes.back() ^= 1;
    if (!SendAll(fd, bytes)) return;
    bytes.clear();
  }
}

bool FakeServer::SendText(int fd, absl::string_view status, absl::string_view text) {
  const absl::string_view close = Has(Fault::kSayClose) ? "Connection: close\r\n" : "";
  return SendAll(
      fd, absl::StrCat(Head(status, absl::StrCat("Content-Length: ", text.size(), "\r\n", close)),
                       text));
}

std::string FakeServer::Head(absl::string_view status, absl::string_view fields) const {
  MutexLock lock(&mutex_);
  return absl::StrCat("HTTP/1.1 ", status, "\r\nX-Version: ", version_, "\r\n", fields, "\r\n");
}

}  // namespace zdd
