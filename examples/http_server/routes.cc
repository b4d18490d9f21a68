#include "examples/http_server/routes.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace example {
namespace {

constexpr int kMillisecondsMax = 3'600'000;

struct Call {
  const Request& request;
  absl::string_view path;
  absl::string_view query;
  absl::string_view version_label;
};

Call ParseTarget(const Request& request, absl::string_view version_label) {
  absl::string_view target = request.target;
  // The form that proxies use, and that servers must take too (RFC 9112, 3.2.2).
  if (absl::ConsumePrefix(&target, "http://")) {
    size_t path = target.find_first_of("/?");
    target = path == absl::string_view::npos ? "/" : target.substr(path);
  }
  std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(target, absl::MaxSplits('?', 1));
  return {request, parts.first, parts.second, version_label};
}

// The parameter `ms`, or -1 if it is missing or makes no sense.
int Milliseconds(const Call& call) {
  for (absl::string_view parameter : absl::StrSplit(call.query, '&')) {
    int value;
    if (absl::ConsumePrefix(&parameter, "ms=") && absl::SimpleAtoi(parameter, &value) &&
        value <= kMillisecondsMax) {
      return value;
    }
  }
  return -1;
}

Reply BadMilliseconds() {
  return ErrorReply(400, absl::StrCat("say ?ms=N with N from 0 to ", kMillisecondsMax));
}

Reply Hello(const Call&) { return {.text = "Hello from a server that never stops.\n"}; }

Reply Version(const Call& call) {
  return {.text = absl::StrCat(call.version_label, " ", getpid(), "\n")};
}

Reply Slow(const Call& call) {
  int milliseconds = Milliseconds(call);
  if (milliseconds < 0) return BadMilliseconds();
  return {.text = "slow\n", .delay = absl::Milliseconds(milliseconds)};
}

Reply Upload(const Call& call) { return {.text = call.request.body.ToText()}; }

Reply Stream(const Call& call) {
  int milliseconds = Milliseconds(call);
  if (milliseconds < 0) return BadMilliseconds();
  return {.kind = Reply::Kind::kLines,
          .line_count = static_cast<int>(absl::Milliseconds(milliseconds) / LineInterval())};
}

Reply Echo(const Call& call) {
  // The first one of a list: "echo, raw".
  absl::string_view protocol = call.request.upgrade;
  protocol = absl::StripAsciiWhitespace(protocol.substr(0, protocol.find(',')));
  if (!protocol.empty()) {
    return {.kind = Reply::Kind::kTunnel,
            .status = 101,
            .fields = {{"Upgrade", std::string(protocol)}}};
  }
  Reply reply = ErrorReply(426, "ask with Upgrade: echo");
  reply.fields = {{"Upgrade", "echo"}};
  return reply;
}

struct Route {
  absl::string_view path;
  absl::string_view methods;
  Reply (*answer)(const Call& call);
};

constexpr Route kRoutes[] = {
    {"/", "GET, HEAD", Hello},   {"/version", "GET, HEAD", Version}, {"/slow", "GET, HEAD", Slow},
    {"/upload", "POST", Upload}, {"/stream", "GET, HEAD", Stream},   {"/echo", "GET", Echo},
};

bool Allows(absl::string_view methods, absl::string_view method) {
  for (absl::string_view allowed : absl::StrSplit(methods, ", ")) {
    if (allowed == method) return true;
  }
  return false;
}

}  // namespace

Reply Answer(const Request& request, absl::string_view version_label) {
  const Call call = ParseTarget(request, version_label);
  for (const Route& route : kRoutes) {
    if (route.path != call.path) continue;
    if (Allows(route.methods, request.method)) return route.answer(call);
    Reply reply = ErrorReply(405, absl::StrCat("this takes ", route.methods));
    reply.fields = {{"Allow", std::string(route.methods)}};
    return reply;
  }
  return ErrorReply(404, "there is nothing of this name");
}

Reply ErrorReply(int status, absl::string_view reason) {
  return {.status = status, .text = absl::StrCat(status, ": ", reason, "\n")};
}

}  // namespace example
