// Http1 is the protocol of the servers here that own their descriptors: what a connection has read
// and not answered, and what it has answered and not sent. It does no I/O, so a connection may
// change its server, its process and its kind of loop between any two calls.
//
//   Http1 http;
//   if (!http.Load(connection.state)) return;          // the connection may be in the middle of it
//   while (http.Answer(version, ticket.ShouldClose())) // first what is unsent, then what is unread
//     http.output.erase(0, send(fd, http.output.data(), http.output.size(), 0));
//   std::move(ticket).Migrate(std::move(fd), http.Save());
//
// GET / says hello, GET /bytes/N gives N bytes. There are no other methods; a request with a body
// is answered and its connection closed.
#ifndef EXAMPLES_EMBED_HTTP1_H_
#define EXAMPLES_EMBED_HTTP1_H_

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace example {

struct Http1 {
  // What Save() writes. Another layout is another format: then read both for one release.
  static constexpr char kFormat[] = "h1/1";
  static constexpr size_t kHeadBytesMax = 16 << 10;
  static constexpr size_t kBodyBytesMax = 16 << 20;
  static constexpr char kTooLong[] = "431 Request Header Fields Too Large";

  std::string input;
  std::string output;
  bool last = false;  // nothing is answered after `output`

  bool idle() const { return input.empty() && output.empty(); }
  bool done() const { return last && output.empty(); }

  // True if there is something to send: what is left, else the answer to the next request.
  bool Answer(int version, bool close) {
    if (!output.empty() || last) return !output.empty();
    const size_t end = input.find("\r\n\r\n");
    const bool whole = end != std::string::npos;
    if (!whole && input.size() < kHeadBytesMax) return false;
    const std::string head = absl::AsciiStrToLower(input.substr(0, end));
    input.erase(0, whole ? end + 4 : end);
    const bool get = whole && absl::StartsWith(head, "get /");
    last = close || !get || absl::StrContains(head, "\r\nconnection: close") ||
           absl::StrContains(head, "\r\ncontent-length:") ||
           absl::StrContains(head, "\r\ntransfer-encoding:");
    const std::string body = get ? Body(head) : "GET is all there is\n";
    output = absl::StrCat("HTTP/1.1 ",
                          get     ? "200 OK"
                          : whole ? "405 Method Not Allowed"
                                  : kTooLong,
                          "\r\nX-Version: ", version, "\r\nContent-Length: ", body.size(),
                          last ? "\r\nConnection: close" : "", "\r\n\r\n", body);
    return true;
  }

  // The format: how many bytes are unsent, a line end, these, and what is unread. Not to be saved
  // when it is `last`: such a connection ends where it is.
  std::string Save() const { return absl::StrCat(output.size(), "\n", output, input); }

  // False: another program wrote that. A new connection has no state.
  bool Load(absl::string_view state) {
    if (state.empty()) return true;
    const size_t end = state.find('\n');
    size_t unsent = 0;
    if (end == state.npos || !absl::SimpleAtoi(state.substr(0, end), &unsent)) return false;
    state.remove_prefix(end + 1);
    if (unsent > state.size()) return false;
    output = std::string(state.substr(0, unsent));
    input = std::string(state.substr(unsent));
    return true;
  }

 private:
  static std::string Body(absl::string_view head) {
    size_t size = 0;
    if (!absl::ConsumePrefix(&head, "get /bytes/")) return "Hello\n";
    if (!absl::SimpleAtoi(head.substr(0, head.find(' ')), &size)) return "How many?\n";
    size = std::min(size, kBodyBytesMax);
    std::string body;  // many lines, then again and again: a loop is not to be held up
    for (int line = 0; line < 10'007; ++line) absl::StrAppend(&body, line, "\n");
    const size_t period = body.size();
    while (body.size() < size) body.append(body, 0, period);
    body.resize(size);
    return body;
  }
};

}  // namespace example

#endif  // EXAMPLES_EMBED_HTTP1_H_
