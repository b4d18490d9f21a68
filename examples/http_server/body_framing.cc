#include "examples/http_server/body_framing.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace example {

bool BodyFraming::Take(absl::string_view* input, absl::FunctionRef<void(absl::string_view)> piece) {
  Step step = Step::kOn;
  while (step == Step::kOn && !done()) {
    switch (part) {
      case Part::kBytes:
        step = TakeBytes(input, Part::kDone, piece);
        break;
      case Part::kChunkSize:
        step = TakeChunkSize(input);
        break;
      case Part::kChunkBytes:
        step = TakeBytes(input, Part::kChunkEnd, piece);
        break;
      case Part::kChunkEnd:
        step = TakeChunkEnd(input);
        break;
      case Part::kTrailers:
        step = TakeTrailers(input);
        break;
      case Part::kDone:
        break;
    }
  }
  return step != Step::kWrong;
}

BodyFraming::Step BodyFraming::TakeBytes(absl::string_view* input, Part after,
                                         absl::FunctionRef<void(absl::string_view)> piece) {
  if (input->empty()) return Step::kNeedMore;
  const size_t size = std::min<uint64_t>(left, input->size());
  piece(input->substr(0, size));
  input->remove_prefix(size);
  left -= size;
  if (left == 0) part = after;
  return Step::kOn;
}

// Hexadecimal digits, and perhaps extensions that nobody knows.
BodyFraming::Step BodyFraming::TakeChunkSize(absl::string_view* input) {
  const size_t end = input->find("\r\n");
  if (end == absl::string_view::npos) {
    return input->size() > kChunkLineBytesMax ? Step::kWrong : Step::kNeedMore;
  }
  const absl::string_view digits =
      absl::StripTrailingAsciiWhitespace(input->substr(0, std::min(end, input->find(';'))));
  // SimpleHexAtoi takes signs, spaces and "0x".
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit) ||
      !absl::SimpleHexAtoi(digits, &left)) {
    return Step::kWrong;
  }
  input->remove_prefix(end + 2);
  part = left > 0 ? Part::kChunkBytes : Part::kTrailers;
  return Step::kOn;
}

BodyFraming::Step BodyFraming::TakeChunkEnd(absl::string_view* input) {
  if (!absl::StartsWith("\r\n", input->substr(0, 2))) return Step::kWrong;
  if (input->size() < 2) return Step::kNeedMore;
  input->remove_prefix(2);
  part = Part::kChunkSize;
  return Step::kOn;
}

// They are read past. An empty line ends them.
BodyFraming::Step BodyFraming::TakeTrailers(absl::string_view* input) {
  size_t end = 0;
  if (!absl::StartsWith(*input, "\r\n")) {
    end = input->find("\r\n\r\n");
    if (end == absl::string_view::npos) {
      return input->size() > kTrailerBytesMax ? Step::kWrong : Step::kNeedMore;
    }
    end += 2;
  }
  input->remove_prefix(end + 2);
  part = Part::kDone;
  return Step::kOn;
}

}  // namespace example
