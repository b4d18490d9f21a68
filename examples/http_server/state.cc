#include "examples/http_server/state.h"

#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace example {
namespace {

constexpr int64_t kDueMaxUs = int64_t{1} << 52;  // a hundred years, and no overflow in ns

// Saves and loads alike, so that they cannot differ.
template <typename AState, typename Field>
void EachField(AState& state, Field& field) {
  field(state.input);
  field(state.output);
  field(state.phase, State::Phase::kEnd);
  field(state.request.method);
  field(state.request.target);
  field(state.request.upgrade);
  field(state.request.minor);
  field(state.request.keep_alive);
  field(state.framing.part, BodyFraming::Part::kTrailers);
  field(state.framing.left);
  field(state.digest.bytes);
  field(state.digest.hash);
  field(state.last);
  field(state.line);
  field(state.due_us);
}

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

}  // namespace

std::string Save(const State& state) {
  Writer writer;
  EachField(state, writer);
  return writer.Take();
}

absl::optional<State> Load(absl::string_view bytes) {
  State state;
  Reader reader(bytes);
  EachField(state, reader);
  if (!reader.ok() || state.line < 0 || state.due_us < 0 || state.due_us > kDueMaxUs) {
    return absl::nullopt;
  }
  return state;
}

}  // namespace example
