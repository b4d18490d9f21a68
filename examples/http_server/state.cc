#include "examples/http_server/state.h"

#include "examples/http_server/fields.h"

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
