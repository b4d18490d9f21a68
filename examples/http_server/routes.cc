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
constexpr int kLinesMax = 10'000'000;
constexpr absl::Duration kLineInterval = absl::Milliseconds(10);

struct Call {
  const Request& request;
  absl::string_view path;
  absl::string_view query;
  absl::string_view version_label;
};

Call ParseTarget(const Request& request, absl::string_view version_label) {
  absl::string_view target = request.head.target;
  // The form that proxies use, and that servers must take too (RFC 9112, 3.2.2).
  if (absl::ConsumePrefix(&target, "http://")) {
    size_t path = target.find_first_of("/?");
    target = path == absl::string_view::npos ? "/" : target.substr(path);
  }
  std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(target, absl::MaxSplits('?', 1));
  return {request, parts.first, parts.second, version_label};
}

// The parameter `name`, or -1 if it is missing or makes no sense.
int Parameter(const Call& call, absl::string_view name, int most) {
  for (absl::string_view parameter : absl::StrSplit(call.query, '&')) {
    int value;
    if (absl::ConsumePrefix(&parameter, name) && absl::ConsumePrefix(&parameter, "=") &&
        absl::SimpleAtoi(parameter, &value) && value <= most) {
      return value;
    }
  }
  return -1;
}

Reply BadParameter(absl::string_view name, int most) {
  return ErrorReply(400, absl::StrCat("say ?", name, "=N with N from 0 to ", most));
}

Reply Hello(const Call&) { return {.text = "Hello from a server that never stops.\n"}; }

Reply Version(const Call& call) {
  return {.text = absl::StrCat(call.version_label, " ", getpid(), "\n")};
}

Reply Slow(const Call& call) {
  const int milliseconds = Parameter(call, "ms", kMillisecondsMax);
  if (milliseconds < 0) return BadParameter("ms", kMillisecondsMax);
  return {.text = "slow\n", .delay = absl::Milliseconds(milliseconds)};
}

Reply Upload(const Call& call) { return {.text = call.request.body.ToText()}; }

Reply Stream(const Call& call) {
  const int milliseconds = Parameter(call, "ms", kMillisecondsMax);
  if (milliseconds < 0) return BadParameter("ms", kMillisecondsMax);
  return {.kind = Reply::Kind::kLines,
          .line_count = static_cast<int>(absl::Milliseconds(milliseconds) / kLineInterval),
          .line_interval = kLineInterval};
}

Reply Lines(const Call& call) {
  const int lines = Parameter(call, "n", kLinesMax);
  if (lines < 0) return BadParameter("n", kLinesMax);
  return {.kind = Reply::Kind::kLines, .line_count = lines};
}

Reply Echo(const Call& call) {
  // The first one of a list: "echo, raw".
  absl::string_view protocol = call.request.head.upgrade;
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
    {"/upload", "POST", Upload}, {"/stream", "GET, HEAD", Stream},   {"/lines", "GET, HEAD", Lines},
    {"/echo", "GET", Echo},
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
    if (Allows(route.methods, request.head.method)) return route.answer(call);
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
