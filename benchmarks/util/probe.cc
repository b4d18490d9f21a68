#include "benchmarks/util/probe.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

constexpr absl::string_view kRequest = "GET / HTTP/1.1\r\nHost: zdd\r\nConnection: close\r\n\r\n";
// Rarer would measure the waits between questions, more often would take the server's processor.
constexpr absl::Duration kBetween = absl::Microseconds(200);

// The head of an answer, or what came of it.
std::string Ask(const Address& server) {
  const OwnedFd fd(socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {.tv_sec = 1};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(fd.get(), server.sockaddr(), server.size()) != 0) return "";
  if (send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer(1024, '\0');
  const ssize_t size = recv(fd.get(), answer.data(), answer.size(), 0);
  answer.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return answer;
}

}  // namespace

absl::optional<Instant> AwaitAnswer(const Address& server, absl::string_view version,
                                    absl::Duration timeout) {
  // HAProxy writes the names of fields in lower case.
  const std::string wanted =
      absl::AsciiStrToLower(absl::StrCat("\r\nX-Version: ", version, "\r\n"));
  const Instant deadline = MonotonicNow() + timeout;
  while (MonotonicNow() < deadline) {
    if (absl::StrContains(absl::AsciiStrToLower(Ask(server)), wanted)) return MonotonicNow();
    absl::SleepFor(kBetween);
  }
  return absl::nullopt;
}

}  // namespace zdd
