// Exchange is one request and what a right answer to it is. Pure: it holds no connection and asks
// no clock.
//
//   exchange->Begin(number);
//   while (auto piece = exchange->Next()) Send(piece->bytes, piece->after);
//   ...                                          // then, as the answer comes, until complete():
//   std::string wrong = exchange->OnHead(head);  // empty: right so far
//   wrong = exchange->OnBody(bytes);
//   wrong = exchange->OnEnd();
//
// Threads: one at a time. Lifetime: used for one request after another; a piece's bytes last until
// the next Next().
#ifndef TESTS_LOAD_EXCHANGE_H_
#define TESTS_LOAD_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "tests/load/options.h"
#include "tests/load/response_parser.h"

namespace zdd {

// How fast a kSlowReader reads.
inline constexpr int64_t kSlowReadBytes = 1024;
constexpr absl::Duration kSlowReadPause = absl::Milliseconds(5);

class Exchange {
 public:
  struct Piece {
    absl::string_view bytes;
    absl::Duration after;  // the piece before was due
  };

  virtual ~Exchange() = default;

  // A new request; `seed` chooses its length and its bytes.
  virtual void Begin(uint64_t seed) = 0;
  // What is to be sent next. None: nothing, or nothing before OnHead().
  virtual absl::optional<Piece> Next() = 0;

  // How long it takes by its nature, from Begin() to complete(), with a server that loses no time.
  virtual absl::Duration length() const { return absl::ZeroDuration(); }

  virtual std::string OnHead(const ResponseHead& head);
  virtual std::string OnBody(absl::string_view bytes) = 0;
  virtual std::string OnEnd() = 0;

  // Whether the answer is there, all of it and right. A tunnel's is not when its response ends, but
  // when all is echoed.
  virtual bool complete() const = 0;
  // Whether bytes after the head are no HTTP; they go to OnBody().
  virtual bool tunnel() const { return false; }
};

std::unique_ptr<Exchange> MakeExchange(const LoadGroup& group);

// What a server answers to an upload of `body`: its length, then its FNV-1a hash of 64 bits, a line
// each.
std::string UploadAnswer(absl::string_view body);

}  // namespace zdd

#endif  // TESTS_LOAD_EXCHANGE_H_
