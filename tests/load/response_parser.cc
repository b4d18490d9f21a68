#include "tests/load/response_parser.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace zdd {
namespace {

constexpr size_t kChunkDigitsMax = 15;  // more would not fit in an int64_t

bool IsToken(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", c);
  });
}

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool AllHexDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

bool HasBody(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

ResponseParser::Event ResponseParser::Next(absl::string_view* input) {
  if (state_ == State::kEnd) {
    state_ = State::kStatusLine;
    return Event::kEnd;
  }
  Event event = state_ == State::kBroken ? Event::kError : Event::kNeedMore;
  while (event == Event::kNeedMore && !input->empty()) event = Step(input);
  return event;
}

ResponseParser::Event ResponseParser::Step(absl::string_view* input) {
  switch (state_) {
    case State::kFixed:
      return TakeBody(input, State::kEnd);
    case State::kChunkData:
      return TakeBody(input, State::kChunkEnd);
    case State::kStatusLine:
    case State::kHeaders:
    case State::kChunkSize:
    case State::kChunkEnd:
    case State::kTrailers: {
      absl::string_view line;
      if (TakeLine(input, &line)) return OnLine(line);
      return state_ == State::kBroken ? Event::kError : Event::kNeedMore;
    }
    case State::kEnd:  // only Next() leaves it
    case State::kBroken:
      break;
  }
  return Event::kError;
}

// True with a whole line, without its CRLF. False: it goes on in the next input, or is broken.
bool ResponseParser::TakeLine(absl::string_view* input, absl::string_view* line) {
  if (line_done_) line_.clear();
  line_done_ = false;
  const size_t end = input->find('\n');
  const size_t size = end == absl::string_view::npos ? input->size() : end + 1;
  if (line_.size() + size > kLineBytesMax) return Fail("a line is too long"), false;
  absl::string_view piece = input->substr(0, size);
  input->remove_prefix(size);
  if (end == absl::string_view::npos || !line_.empty()) absl::StrAppend(&line_, piece);
  if (end == absl::string_view::npos) return false;
  *line = line_.empty() ? piece : line_;
  line_done_ = true;
  if (!absl::ConsumeSuffix(line, "\r\n")) return Fail("a line ends without CR"), false;
  return true;
}

ResponseParser::Event ResponseParser::OnLine(absl::string_view line) {
  if (state_ == State::kStatusLine) return ParseStatusLine(line);
  if (state_ == State::kHeaders) return line.empty() ? EndOfHead() : ParseHeader(line);
  if (state_ == State::kChunkSize) return ParseChunkSize(line);
  if (state_ == State::kChunkEnd) {
    if (!line.empty()) return Fail("a chunk is longer than its size");
    state_ = State::kChunkSize;
    return Event::kNeedMore;
  }
  if (!line.empty()) return Event::kNeedMore;  // a trailer: nothing here depends on one
  state_ = State::kStatusLine;
  return Event::kEnd;
}

ResponseParser::Event ResponseParser::TakeBody(absl::string_view* input, State after) {
  body_ = input->substr(0, static_cast<size_t>(std::min<int64_t>(left_, input->size())));
  input->remove_prefix(body_.size());
  left_ -= body_.size();
  if (left_ == 0) state_ = after;
  return Event::kBody;
}

ResponseParser::Event ResponseParser::ParseStatusLine(absl::string_view line) {
  head_.status = 0;
  head_.close = head_.chunked = false;
  head_.content_length.reset();
  head_.version.clear();
  header_count_ = 0;
  const absl::string_view code = line.substr(std::min<size_t>(9, line.size()), 3);
  if (!absl::StartsWith(line, "HTTP/1.1 ") || code.size() != 3 || !AllDigits(code) ||
      (line.size() > 12 && line[12] != ' ')) {
    return Fail(absl::StrCat("no status line: \"", line.substr(0, 40), "\""));
  }
  (void)absl::SimpleAtoi(code, &head_.status);
  state_ = State::kHeaders;
  return Event::kNeedMore;
}

ResponseParser::Event ResponseParser::ParseHeader(absl::string_view line) {
  if (++header_count_ > kHeaderCountMax) return Fail("too many headers");
  const size_t colon = line.find(':');
  if (colon == absl::string_view::npos || !IsToken(line.substr(0, colon))) {
    return Fail(absl::StrCat("no header: \"", line.substr(0, 40), "\""));
  }
  return TakeHeader(line.substr(0, colon), absl::StripAsciiWhitespace(line.substr(colon + 1)));
}

ResponseParser::Event ResponseParser::TakeHeader(absl::string_view name, absl::string_view value) {
  if (absl::EqualsIgnoreCase(name, "Content-Length")) {
    int64_t length = 0;
    if (head_.content_length || !AllDigits(value) || !absl::SimpleAtoi(value, &length)) {
      return Fail("a second Content-Length, or one that is no number");
    }
    head_.content_length = length;
  } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
    if (!absl::EqualsIgnoreCase(value, "chunked")) return Fail("an unknown Transfer-Encoding");
    head_.chunked = true;
  } else if (absl::EqualsIgnoreCase(name, "Connection")) {
    for (absl::string_view word : absl::StrSplit(value, ',')) {
      if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(word), "close")) head_.close = true;
    }
  } else if (absl::EqualsIgnoreCase(name, "X-Version")) {
    head_.version.assign(value.data(), value.size());
  }
  return Event::kNeedMore;
}

ResponseParser::Event ResponseParser::EndOfHead() {
  if (head_.status < 200 && head_.status != 101)
    return Fail("an interim response that nobody asked for");
  if (head_.chunked && head_.content_length) return Fail("both Content-Length and chunked");
  left_ = head_.content_length.value_or(0);
  if (!HasBody(head_.status)) {
    state_ = State::kEnd;
  } else if (head_.chunked) {
    state_ = State::kChunkSize;
  } else if (head_.content_length) {
    state_ = left_ > 0 ? State::kFixed : State::kEnd;
  } else {
    return Fail("a body of unsaid length: its end could not be told from a cut");
  }
  return Event::kHead;
}

ResponseParser::Event ResponseParser::ParseChunkSize(absl::string_view line) {
  const absl::string_view digits = absl::StripAsciiWhitespace(line.substr(0, line.find(';')));
  if (!AllHexDigits(digits) || digits.size() > kChunkDigitsMax ||
      !absl::SimpleHexAtoi(digits, &left_)) {
    return Fail(absl::StrCat("no chunk size: \"", line.substr(0, 40), "\""));
  }
  state_ = left_ > 0 ? State::kChunkData : State::kTrailers;
  return Event::kNeedMore;
}

ResponseParser::Event ResponseParser::Fail(absl::string_view reason) {
  error_ = std::string(reason);
  state_ = State::kBroken;
  return Event::kError;
}

}  // namespace zdd
