#include "zdd/migration/batch.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "zdd/base/percent.h"
#include "zdd/handoff/frame_limits.h"

namespace zdd {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kIntMax = 0x7fffffff;
constexpr size_t kShownBytesMax = 40;  // of a wrong value, in an error message

std::string Shown(const Json& json) {
  if (json.is_structured()) return json.is_array() ? "a list" : "an object";
  std::string text = json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() <= kShownBytesMax) return text;
  return absl::StrCat(text.substr(0, kShownBytesMax), "... (", text.size(), " bytes)");
}

// ---- Writing.

// What needs no escaping in JSON, so that a frame is written without building it as JSON first.
std::string Plain(absl::string_view bytes) {
  return PercentEncode(bytes,
                       [](char c) { return absl::ascii_isprint(c) && c != '"' && c != '\\'; });
}

int64_t AgeMs(absl::Duration age) {
  return absl::ToInt64Milliseconds(std::min(std::max(age, absl::ZeroDuration()), kTimeMax));
}

std::string JsonOf(const BatchItem& item) {
  return absl::StrCat(R"({"listener":")", Plain(item.listener), R"(","format":")",
                      Plain(item.format), R"(","age_ms":)", AgeMs(item.age),
                      item.in_memfd ? R"(,"memfd":)" : R"(,"bytes":)", item.state_bytes, "}");
}

std::string EncodeFrame(const BatchFrame& frame) {
  std::string bytes = absl::StrCat(R"({"type":"batch","no":)", frame.no, R"(,"items":[)");
  const char* comma = "";
  for (const BatchItem& item : frame.items)
    absl::StrAppend(&bytes, std::exchange(comma, ","), JsonOf(item));
  bytes += "]}\n";
  for (const BatchItem& item : frame.items) bytes += item.state;
  return bytes;
}

std::string EncodeFrame(const AckFrame& frame) {
  return absl::StrCat(R"({"type":"ack","no":)", frame.no, R"(,"taken":")", frame.taken,
                      R"(","free_fds":)", frame.free_fds, "}\n");
}

std::string EncodeFrame(const RevokedFrame&) { return "{\"type\":\"revoked\"}\n"; }

// ---- Reading.

// The fields of one object. The first error stays; what follows it reads nothing.
class Fields {
 public:
  Fields(const Json& object, std::string path, absl::Status* status)
      : object_(object), path_(std::move(path)), status_(*status) {
    if (!object.is_object()) Fail("", Shown(object), "an object");
  }

  bool Has(const char* key) const { return object_.is_object() && object_.contains(key); }

  std::string Text(const char* key, size_t bytes_max) {
    const Json* json = Find(key);
    if (json == nullptr) return "";
    absl::optional<std::string> bytes;
    if (json->is_string()) {
      bytes = PercentDecode(json->get_ref<const std::string&>());
      if (!bytes.has_value())
        return Fail(key, Shown(*json), "two hexadecimal digits behind each %"), "";
    }
    if (!bytes.has_value() || bytes->size() > bytes_max) {
      return Fail(key, Shown(*json), absl::StrCat("a text of at most ", bytes_max, " bytes")), "";
    }
    return *std::move(bytes);
  }

  int64_t Number(const char* key, int64_t min, int64_t max) {
    const Json* json = Find(key);
    if (json == nullptr) return 0;
    const bool huge = json->is_number_unsigned() && json->get<uint64_t>() > uint64_t(max);
    const bool fits = json->is_number_integer() && !huge && json->get<int64_t>() >= min &&
                      json->get<int64_t>() <= max;
    if (!fits) return Fail(key, Shown(*json), absl::StrCat(min, " to ", max)), 0;
    return json->get<int64_t>();
  }

  uint64_t Big(const char* key) {
    const Json* json = Find(key);
    uint64_t value = 0;
    if (json == nullptr) return 0;
    if (!json->is_string() || !absl::SimpleAtoi(json->get_ref<const std::string&>(), &value))
      Fail(key, Shown(*json), "an unsigned 64-bit number as a text");
    return value;
  }

  const Json& List(const char* key, size_t max) {
    static const Json* const kEmpty = new Json(Json::array());
    const Json* json = Find(key);
    if (json == nullptr) return *kEmpty;
    if (!json->is_array()) return Fail(key, Shown(*json), "a list"), *kEmpty;
    if (!json->empty() && json->size() <= max) return *json;
    Fail(key, absl::StrCat(json->size(), " entries"), absl::StrCat("1 to ", max));
    return *kEmpty;
  }

  void Fail(absl::string_view key, absl::string_view came, absl::string_view want) {
    if (!status_.ok()) return;
    const char* dot = path_.empty() || key.empty() ? "" : ".";
    status_ = absl::DataLossError(
        absl::StrCat("field \"", path_, dot, key, "\": got ", came, ", want ", want));
  }

 private:
  const Json* Find(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    Fail(key, "nothing", "a value: the field is required");
    return nullptr;
  }

  const Json& object_;
  const std::string path_;
  absl::Status& status_;
};

BatchItem ReadItem(Fields fields) {
  BatchItem item;
  item.listener = fields.Text("listener", kListenerNameBytesMax);
  item.format = fields.Text("format", kFormatBytesMax);
  item.age = absl::Milliseconds(fields.Number("age_ms", 0, absl::ToInt64Milliseconds(kTimeMax)));
  item.in_memfd = fields.Has("memfd");
  if (item.in_memfd && fields.Has("bytes")) fields.Fail("memfd", "\"bytes\" too", "one of both");
  item.state_bytes = static_cast<size_t>(
      item.in_memfd ? fields.Number("memfd", 1, int64_t{kMigrationStateBytesMax})
                    : fields.Number("bytes", 0, int64_t{kInlineStateBytesMax}));
  return item;
}

// Gives each item its part of what stands behind the line.
absl::Status CutStates(absl::string_view states, std::vector<BatchItem>* items) {
  size_t want = 0;
  for (const BatchItem& item : *items) want += item.in_memfd ? 0 : item.state_bytes;
  if (states.size() != want) {
    return absl::DataLossError(
        absl::StrCat("got ", states.size(), " bytes of states, want ", want));
  }
  for (BatchItem& item : *items) {
    if (item.in_memfd) continue;
    item.state = std::string(states.substr(0, item.state_bytes));
    states.remove_prefix(item.state_bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<MigrationFrame> ReadBatch(const Json& json, absl::string_view states) {
  absl::Status status;
  Fields fields(json, "", &status);
  BatchFrame frame;
  frame.no = static_cast<int>(fields.Number("no", 1, kIntMax));
  const Json& items = fields.List("items", kBatchItemsMax);
  for (size_t i = 0; i < items.size() && status.ok(); ++i)
    frame.items.push_back(ReadItem(Fields(items[i], absl::StrCat("items[", i, "]"), &status)));
  if (status.ok()) status = CutStates(states, &frame.items);
  if (!status.ok()) return status;
  return frame;
}

absl::Status NothingFollows(absl::string_view rest) {
  if (rest.empty()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("got ", rest.size(), " bytes behind the line, want none"));
}

absl::StatusOr<MigrationFrame> ReadAck(const Json& json, absl::string_view rest) {
  absl::Status status = NothingFollows(rest);
  Fields fields(json, "", &status);
  AckFrame frame;
  frame.no = static_cast<int>(fields.Number("no", 1, kIntMax));
  frame.taken = fields.Big("taken");
  frame.free_fds = static_cast<int>(fields.Number("free_fds", 0, kIntMax));
  if (!status.ok()) return status;
  return frame;
}

absl::StatusOr<MigrationFrame> ReadRevoked(const Json&, absl::string_view rest) {
  absl::Status status = NothingFollows(rest);
  if (!status.ok()) return status;
  return RevokedFrame{};
}

int FdCount(const MigrationFrame& frame) {
  int count = 0;
  if (const auto* batch = std::get_if<BatchFrame>(&frame))
    for (const BatchItem& item : batch->items) count += FdsOf(item);
  return count;
}

struct Kind {
  absl::string_view name;
  absl::StatusOr<MigrationFrame> (*read)(const Json&, absl::string_view);
};
constexpr Kind kKinds[] = {{"batch", ReadBatch}, {"ack", ReadAck}, {"revoked", ReadRevoked}};

const Kind* KindOf(const Json& json) {
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string()) return nullptr;
  for (const Kind& kind : kKinds)
    if (kind.name == type->get_ref<const std::string&>()) return &kind;
  return nullptr;
}

absl::Status NoFrame(absl::string_view came, absl::string_view want) {
  return absl::DataLossError(absl::StrCat("decode migration frame: got ", came, ", want ", want));
}

}  // namespace

BatchItem MakeBatchItem(absl::string_view listener, absl::string_view format, absl::Duration age,
                        absl::string_view state) {
  BatchItem item;
  item.listener = std::string(listener);
  item.format = std::string(format);
  item.age = age;
  item.state_bytes = state.size();
  item.in_memfd = state.size() > kInlineStateBytesMax;
  if (!item.in_memfd) item.state = std::string(state);
  return item;
}

absl::Status CheckBatchItem(const BatchItem& item) {
  const auto too_long = [](absl::string_view what, size_t size, size_t max) {
    return absl::StrCat("migrate: the ", what, " is too long (", size, " bytes, at most ", max,
                        ")");
  };
  if (item.listener.size() > kListenerNameBytesMax)
    return absl::InvalidArgumentError(
        too_long("listener's name", item.listener.size(), kListenerNameBytesMax));
  if (item.format.size() > kFormatBytesMax)
    return absl::InvalidArgumentError(too_long("format", item.format.size(), kFormatBytesMax));
  if (item.state_bytes > kMigrationStateBytesMax)
    return absl::ResourceExhaustedError(
        too_long("state", item.state_bytes, kMigrationStateBytesMax));
  return absl::OkStatus();
}

size_t BytesOf(const BatchItem& item) {
  return JsonOf(item).size() + 1 + item.state.size();  // and a comma
}

int FdsOf(const BatchItem& item) { return item.in_memfd ? 2 : 1; }

std::string Encode(const MigrationFrame& frame) {
  return std::visit([](const auto& value) { return EncodeFrame(value); }, frame);
}

absl::StatusOr<MigrationFrame> DecodeMigration(absl::string_view bytes, int fd_count) {
  if (bytes.size() > kChunkBytesMax)
    return NoFrame(absl::StrCat(bytes.size(), " bytes"), absl::StrCat("at most ", kChunkBytesMax));
  const size_t end = bytes.find('\n');
  if (end == absl::string_view::npos)
    return NoFrame(absl::StrCat(bytes.size(), " bytes without a line end"), "a line of JSON");
  const absl::string_view line = bytes.substr(0, end);
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return NoFrame(json.is_discarded() ? "no JSON" : Shown(json), "a JSON object");
  const Kind* kind = KindOf(json);
  if (kind == nullptr) return NoFrame("another \"type\"", "\"batch\", \"ack\" or \"revoked\"");
  absl::StatusOr<MigrationFrame> frame = kind->read(json, bytes.substr(end + 1));
  if (frame.ok() && FdCount(*frame) != fd_count) {
    frame =
        absl::DataLossError(absl::StrCat("got ", fd_count, " descriptors, want ", FdCount(*frame)));
  }
  if (frame.ok()) return frame;
  return absl::DataLossError(
      absl::StrCat("decode ", kind->name, " frame: ", frame.status().message()));
}

}  // namespace zdd
