// BodyFraming finds where the body of a request ends (RFC 9112, 6 and 7), whatever pieces it comes
// in. It is two numbers, so that a connection can move in the middle of a body.
//
//   BodyFraming framing = BodyFraming::Chunked();
//   absl::string_view input = "3\r\nhel\r\n2\r\nl";
//   framing.Take(&input, [&](absl::string_view piece) { digest.Update(piece); });  // "hel", "l"
//   framing.done();                                                                // false
//
// Threads: a value. Errors: Take() is false if this is no body.
#ifndef EXAMPLES_HTTP_SERVER_BODY_FRAMING_H_
#define EXAMPLES_HTTP_SERVER_BODY_FRAMING_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace example {

struct BodyFraming {
  enum class Part { kDone, kBytes, kChunkSize, kChunkBytes, kChunkEnd, kTrailers };

  static constexpr size_t kChunkLineBytesMax = 4 << 10;
  static constexpr size_t kTrailerBytesMax = 16 << 10;

  Part part = Part::kDone;
  uint64_t left = 0;  // of the body, or of the chunk

  static BodyFraming Fixed(uint64_t size) { return {size > 0 ? Part::kBytes : Part::kDone, size}; }
  static BodyFraming Chunked() { return {Part::kChunkSize, 0}; }
  bool done() const { return part == Part::kDone; }

  // Takes what it can from the front of `input`; what is left there needs more behind it.
  bool Take(absl::string_view* input, absl::FunctionRef<void(absl::string_view)> piece);

 private:
  enum class Step { kOn, kNeedMore, kWrong };

  Step TakeBytes(absl::string_view* input, Part after,
                 absl::FunctionRef<void(absl::string_view)> piece);
  Step TakeChunkSize(absl::string_view* input);
  Step TakeChunkEnd(absl::string_view* input);
  Step TakeTrailers(absl::string_view* input);
};

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_BODY_FRAMING_H_
