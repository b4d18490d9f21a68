// ParseHead reads the head of one HTTP/1 request, with the parser of Boost.Beast. It is given whole
// heads only: a parser that has eaten a half could not be moved to another process, bytes can.
//
//   RequestHead head;
//   int wrong = ParseHead("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &head);   // 0; head.method is "GET"
//
// Threads: any. Errors: the status that tells the client what is wrong: 400, 431 or 505.
#ifndef EXAMPLES_HTTP_SERVER_REQUEST_HEAD_H_
#define EXAMPLES_HTTP_SERVER_REQUEST_HEAD_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace example {

constexpr size_t kHeadBytesMax = 16 << 10;

struct RequestHead {
  std::string method;   // "GET"
  std::string target;   // "/slow?ms=100", or "http://host/slow?ms=100"
  std::string upgrade;  // the field of that name. Empty: none, or not to be followed
  int minor = 1;        // of HTTP/1.1
  bool keep_alive = true;
  bool expects_continue = false;
  bool chunked = false;
  uint64_t body_bytes = 0;  // if it is not chunked
};

int ParseHead(absl::string_view bytes, RequestHead* head);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_REQUEST_HEAD_H_
