// Writer and Reader turn fields into bytes and back: netstrings
// (https://cr.yp.to/proto/netstrings.txt), numbers in decimal, flags as 0 and 1, enums by number.
//
//   Writer write;
//   write(name);
//   write(phase, Phase::kLast);
//   std::string bytes = write.Take();
//   Reader read(bytes);
//   read(name);
//   read(phase, Phase::kLast);   // the last one that there is
//   bool right = read.ok();      // and nothing is left
//
// Threads: one at a time. Lifetime: the bytes outlive a Reader. Errors: ok().
#ifndef EXAMPLES_HTTP_SERVER_FIELDS_H_
#define EXAMPLES_HTTP_SERVER_FIELDS_H_

#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace example {

class Writer {
 public:
  void operator()(const std::string& text) {
    absl::StrAppend(&bytes_, text.size(), ":", text, ",");
  }
  template <typename Number>
  void operator()(Number number, Number /*last*/ = {}) {
    if constexpr (std::is_enum_v<Number> || std::is_same_v<Number, bool>) {
      (*this)(absl::StrCat(static_cast<int>(number)));
    } else {
      (*this)(absl::StrCat(number));
    }
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(absl::string_view bytes) : left_(bytes) {}

  void operator()(std::string& text) { text = std::string(Next()); }
  template <typename Number>
  void operator()(Number& number) {
    ok_ = ok_ && absl::SimpleAtoi(Next(), &number);
  }
  void operator()(bool& flag) { Small(&flag, 1); }
  template <typename Enum>
  void operator()(Enum& value, Enum last) {
    Small(&value, static_cast<int>(last));
  }
  bool ok() const { return ok_ && left_.empty(); }

 private:
  template <typename Value>
  void Small(Value* value, int last) {
    int number = 0;
    (*this)(number);
    ok_ = ok_ && number >= 0 && number <= last;
    if (ok_) *value = static_cast<Value>(number);
  }

  absl::string_view Next() {
    const size_t colon = left_.find(':');
    size_t size = 0;
    ok_ = ok_ && colon != absl::string_view::npos &&
          absl::SimpleAtoi(left_.substr(0, colon), &size) && size < left_.size() - colon - 1 &&
          left_[colon + 1 + size] == ',';
    if (!ok_) return "";
    const absl::string_view text = left_.substr(colon + 1, size);
    left_.remove_prefix(colon + 1 + size + 1);
    return text;
  }

  absl::string_view left_;
  bool ok_ = true;
};

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_FIELDS_H_
