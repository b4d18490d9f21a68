// ResponseParser reads HTTP/1.1 responses from bytes that come in any pieces, one response after
// another (RFC 9112). It is strict where a lenient client would hide a server's mistake: bare line
// feeds, folded headers, a body whose length nobody said, bytes after the end.
//
//   absl::string_view input = received;
//   for (;;) {
//     switch (parser.Next(&input)) {            // takes from the front of input
//       case ResponseParser::Event::kHead: Look(parser.head().status); break;
//       case ResponseParser::Event::kBody: Check(parser.body()); break;
//       case ResponseParser::Event::kEnd: Done(); break;
//       case ResponseParser::Event::kNeedMore: return;
//       case ResponseParser::Event::kError: return Wrong(parser.error());
//     }
//   }
//
// Threads: one at a time. Lifetime: body() is a part of the input last given; head() and error()
// last until the next call. Errors: kError, for good.
#ifndef TESTS_LOAD_RESPONSE_PARSER_H_
#define TESTS_LOAD_RESPONSE_PARSER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

struct ResponseHead {
  int status = 0;
  bool close = false;    // Connection: close
  bool chunked = false;  // Transfer-Encoding: chunked
  absl::optional<int64_t> content_length;
  std::string version;  // X-Version
};

class ResponseParser {
 public:
  enum class Event { kNeedMore, kHead, kBody, kEnd, kError };

  static constexpr size_t kLineBytesMax = 8192;
  static constexpr int kHeaderCountMax = 100;

  // After a head with status 101 the response has ended: what follows in the input belongs to the
  // new protocol.
  Event Next(absl::string_view* input);

  const ResponseHead& head() const { return head_; }
  absl::string_view body() const { return body_; }
  absl::string_view error() const { return error_; }

 private:
  enum class State {
    kStatusLine,
    kHeaders,
    kFixed,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kEnd,
    kBroken
  };

  bool TakeLine(absl::string_view* input, absl::string_view* line);
  Event Step(absl::string_view* input);
  Event OnLine(absl::string_view line);
  Event TakeBody(absl::string_view* input, State after);
  Event ParseStatusLine(absl::string_view line);
  Event ParseHeader(absl::string_view line);
  Event TakeHeader(absl::string_view name, absl::string_view value);
  Event EndOfHead();
  Event ParseChunkSize(absl::string_view line);
  Event Fail(absl::string_view reason);

  State state_ = State::kStatusLine;
  ResponseHead head_;
  int header_count_ = 0;
  int64_t left_ = 0;        // of the body, or of the chunk
  std::string line_;        // the beginning of a line whose end has not come
  bool line_done_ = false;  // line_ was given out and is to be cleared
  absl::string_view body_;
  std::string error_;
};

}  // namespace zdd

#endif  // TESTS_LOAD_RESPONSE_PARSER_H_
