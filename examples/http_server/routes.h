// What the server answers, as values: from a request to a reply, without a socket or a clock. How a
// reply travels is session.h's.
//
//   GET /               a fixed small text
//   GET /version        the version's label and the pid: "v1 4121\n"
//   GET /slow?ms=N      "slow\n", after N milliseconds
//   POST /upload        the length of the body, then its hash: see body_digest.h
//   GET /stream?ms=N    for N milliseconds, each 10 ms a line that counts from "00000000\n"
//   GET /lines?n=N      N such lines, as fast as the client reads
//   GET /echo           with any Upgrade: a tunnel that sends back what it gets
//
// HEAD goes where GET goes, but not into the tunnel.
#ifndef EXAMPLES_HTTP_SERVER_ROUTES_H_
#define EXAMPLES_HTTP_SERVER_ROUTES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "examples/http_server/body_digest.h"
#include "examples/http_server/request_head.h"

namespace example {

struct Request {
  const RequestHead& head;
  BodyDigest body;
};

struct Reply {
  enum class Kind { kText, kLines, kTunnel };
  Kind kind = Kind::kText;
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;  // beyond those of every response
  std::string text;                                         // kText: the body
  absl::Duration delay;                                     // kText: from request to response
  int line_count = 0;                                       // kLines
  absl::Duration line_interval;                             // kLines: from one to the next
};

Reply Answer(const Request& request, absl::string_view version_label);

// A reply whose text is "404: reason".
Reply ErrorReply(int status, absl::string_view reason);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_ROUTES_H_
