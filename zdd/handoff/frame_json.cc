// Encode and Decode. Each frame's fields are listed once, in its Describe; a Writer or a Reader
// walks the list.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/percent.h"
#include "zdd/handoff/frames.h"

namespace zdd {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kIntMax = 0x7fffffff;
constexpr size_t kShownBytesMax = 40;  // of a wrong value, in an error message

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

std::string Shown(const Json& json) {
  if (json.is_structured()) return json.is_array() ? "a list" : "an object";
  std::string text = Dump(json);
  if (text.size() <= kShownBytesMax) return text;
  return absl::StrCat(text.substr(0, kShownBytesMax), "... (", text.size(), " bytes)");
}

std::string Encoded(absl::string_view text, size_t bytes_max) {
  return PercentEncode(text.substr(0, bytes_max), [](char c) { return absl::ascii_isprint(c); });
}

class Writer {
 public:
  template <typename F>
  using Subject = const F;

  explicit Writer(Json* object) : object_(*object) {}

  void Text(const char* key, const std::string& value, size_t bytes_max) {
    object_[key] = Encoded(value, bytes_max);
  }
  void Number(const char* key, int value, int, int) { object_[key] = value; }
  void Flag(const char* key, bool value) { object_[key] = value; }
  void Big(const char* key, uint64_t value) { object_[key] = absl::StrCat(value); }
  void Time(const char* key, absl::Duration value) {
    object_[key] =
        absl::ToInt64Milliseconds(std::min(std::max(value, absl::ZeroDuration()), kTimeMax));
  }
  void Choice(const char* key, SocketKind value) {
    object_[key] = value == SocketKind::kStream ? "stream" : "datagram";
  }
  void Numbers(const char* key, const std::vector<int>& values, size_t max) {
    object_[key] = Json::array();
    for (size_t i = 0; i < values.size() && i < max; ++i) object_[key].push_back(values[i]);
  }
  void Texts(const char* key, const std::vector<std::string>& values, size_t max,
             size_t bytes_max) {
    object_[key] = Json::array();
    for (size_t i = 0; i < values.size() && i < max; ++i)
      object_[key].push_back(Encoded(values[i], bytes_max));
  }
  void MaybeTexts(const char* key, const std::vector<std::string>& values, size_t max,
                  size_t bytes_max) {
    if (!values.empty()) Texts(key, values, max, bytes_max);
  }
  template <typename T>
  void List(const char* key, const std::vector<T>& values, size_t max) {
    object_[key] = Json::array();
    for (size_t i = 0; i < values.size() && i < max; ++i)
      Fill(&object_[key].emplace_back(), values[i]);
  }
  template <typename T>
  void Maybe(const char* key, const absl::optional<T>& value) {
    if (value.has_value()) Fill(&object_[key], *value);
  }

 private:
  template <typename T>
  static void Fill(Json* json, const T& value);

  Json& object_;
};

// The first error stays; what follows it reads nothing.
class Reader {
 public:
  template <typename F>
  using Subject = F;

  Reader(const Json& object, std::string path, absl::Status* status)
      : object_(object), path_(std::move(path)), status_(*status) {}

  void Text(const char* key, std::string& value, size_t bytes_max) {
    if (const Json* json = Find(key)) ReadText(*json, Path(key), bytes_max, &value);
  }
  void Number(const char* key, int& value, int min, int max) {
    if (const Json* json = Find(key)) ReadNumber(*json, Path(key), min, max, &value);
  }
  void Flag(const char* key, bool& value) {
    const Json* json = Find(key);
    if (json == nullptr) return;
    if (!json->is_boolean()) return Fail(Path(key), Shown(*json), "true or false");
    value = json->get<bool>();
  }
  void Big(const char* key, uint64_t& value) {
    const Json* json = Find(key);
    if (json == nullptr) return;
    if (!json->is_string() || !absl::SimpleAtoi(json->get_ref<const std::string&>(), &value))
      Fail(Path(key), Shown(*json), "an unsigned 64-bit number as a text");
  }
  void Time(const char* key, absl::Duration& value) {
    const Json* json = Find(key);
    if (json == nullptr) return;
    int64_t milliseconds = 0;
    ReadInteger(*json, Path(key), 0, absl::ToInt64Milliseconds(kTimeMax), &milliseconds);
    value = absl::Milliseconds(milliseconds);
  }
  void Choice(const char* key, SocketKind& value) {
    const Json* json = Find(key);
    if (json == nullptr) return;
    if (*json != "stream" && *json != "datagram")
      return Fail(Path(key), Shown(*json), "\"stream\" or \"datagram\"");
    value = *json == "stream" ? SocketKind::kStream : SocketKind::kDatagram;
  }
  void Numbers(const char* key, std::vector<int>& values, size_t max) {
    Each(key, max, [&](const Json& json, const std::string& path) {
      ReadNumber(json, path, 0, kIntMax, &values.emplace_back());
    });
  }
  void Texts(const char* key, std::vector<std::string>& values, size_t max, size_t bytes_max) {
    Each(key, max, [&](const Json& json, const std::string& path) {
      ReadText(json, path, bytes_max, &values.emplace_back());
    });
  }
  void MaybeTexts(const char* key, std::vector<std::string>& values, size_t max, size_t bytes_max) {
    if (object_.contains(key)) Texts(key, values, max, bytes_max);
  }
  template <typename T>
  void List(const char* key, std::vector<T>& values, size_t max) {
    Each(key, max, [&](const Json& json, std::string path) {
      Read(json, std::move(path), &values.emplace_back());
    });
  }
  template <typename T>
  void Maybe(const char* key, absl::optional<T>& value) {
    const auto found = object_.find(key);
    if (status_.ok() && found != object_.end()) Read(*found, Path(key), &value.emplace());
  }

 private:
  std::string Path(absl::string_view key) const {
    return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
  }

  void Fail(absl::string_view path, absl::string_view came, absl::string_view want) {
    if (!status_.ok()) return;
    status_ =
        absl::DataLossError(absl::StrCat("field \"", path, "\": got ", came, ", want ", want));
  }

  const Json* Find(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      Fail(Path(key), "nothing", "a value: the field is required");
      return nullptr;
    }
    return &*found;
  }

  void ReadText(const Json& json, const std::string& path, size_t bytes_max, std::string* value) {
    const std::string want = absl::StrCat("a text of at most ", bytes_max, " bytes");
    if (!json.is_string()) return Fail(path, Shown(json), want);
    absl::optional<std::string> bytes = PercentDecode(json.get_ref<const std::string&>());
    if (!bytes.has_value()) return Fail(path, Shown(json), "two hexadecimal digits behind each %");
    if (bytes->size() > bytes_max) return Fail(path, Shown(json), want);
    *value = *std::move(bytes);
  }

  void ReadInteger(const Json& json, const std::string& path, int64_t min, int64_t max,
                   int64_t* value) {
    const bool huge = json.is_number_unsigned() && json.get<uint64_t>() > uint64_t(max);
    const bool fits = json.is_number_integer() && !huge && json.get<int64_t>() >= min &&
                      json.get<int64_t>() <= max;
    if (!fits) return Fail(path, Shown(json), absl::StrCat(min, " to ", max));
    *value = json.get<int64_t>();
  }

  void ReadNumber(const Json& json, const std::string& path, int min, int max, int* value) {
    int64_t wide = 0;
    ReadInteger(json, path, min, max, &wide);
    *value = static_cast<int>(wide);
  }

  template <typename Callback>
  void Each(const char* key, size_t max, Callback callback) {
    const Json* json = Find(key);
    if (json == nullptr) return;
    if (!json->is_array()) return Fail(Path(key), Shown(*json), "a list");
    if (json->size() > max)
      return Fail(Path(key), absl::StrCat(json->size(), " entries"), absl::StrCat("at most ", max));
    for (size_t i = 0; i < json->size() && status_.ok(); ++i)
      callback((*json)[i], absl::StrCat(Path(key), "[", i, "]"));
  }

  template <typename T>
  void Read(const Json& json, std::string path, T* value);

  const Json& object_;
  const std::string path_;
  absl::Status& status_;
};

// What a Reader fills and a Writer only looks at.
template <typename V, typename F>
using Of = typename V::template Subject<F>&;

template <typename V>
void Describe(V&, const WithoutFields&) {}

template <typename V>
void Describe(V& v, Of<V, HelloFrame> f) {
  v.Numbers("protocols", f.protocols, kProtocolsMax);
  v.Text("name", f.name, kServiceNameBytesMax);
  v.Text("version", f.version, kVersionBytesMax);
  v.Text("build", f.build, kBuildBytesMax);
  v.Number("pid", f.pid, 0, kIntMax);
  v.Texts("features", f.features, kFeaturesMax, kFeatureBytesMax);
  v.Number("free_fds", f.free_fds, 0, kIntMax);
}

template <typename V>
void Describe(V& v, Of<V, WelcomeFrame> f) {
  v.Number("protocol", f.protocol, 0, kIntMax);
  v.Number("generation", f.generation, 1, kIntMax);
  v.Number("pid", f.pid, 0, kIntMax);
  v.Text("version", f.version, kVersionBytesMax);
  v.Number("predecessor", f.predecessor, 1, kIntMax);
  v.Number("listeners", f.listener_count, 0, kIntMax);
  v.Number("sockets", f.socket_count, 0, kIntMax);
  v.Time("silence_ms", f.silence);
  v.Time("drain_timeout_ms", f.drain_timeout);
  v.Time("ready_timeout_ms", f.ready_timeout);
  v.Number("free_fds", f.free_fds, 0, kIntMax);
}

template <typename V>
void Describe(V& v, Of<V, FileIdentity> f) {
  v.Big("device", f.device);
  v.Big("inode", f.inode);
}

template <typename V>
void Describe(V& v, Of<V, OfferedSocket> f) {
  v.Text("listener", f.listener, kListenerNameBytesMax);
  v.Number("index", f.index, 0, kSocketsPerListenerMax - 1);
  v.Text("asked", f.asked, kAddressBytesMax);
  v.Text("bound", f.bound, kAddressBytesMax);
  v.Choice("kind", f.kind);
  v.Maybe("file", f.file);
  v.Flag("exclusive", f.exclusive);
  v.Number("backlog", f.backlog, 0, kIntMax);
  v.Flag("dual_stack", f.dual_stack);
  v.Text("device", f.device, kDeviceBytesMax);
}

template <typename V>
void Describe(V& v, Of<V, OfferFrame> f) {
  v.List("sockets", f.sockets, kChunkFdsMax);
  v.Flag("last", f.last);
}

template <typename V>
void Describe(V& v, Of<V, PreparedFrame> f) {
  v.Texts("claims", f.claims, kChunkBytesMax, kListenerNameBytesMax);
  v.List("sockets", f.sockets, kChunkFdsMax);
  v.Flag("last", f.last);
}

template <typename V>
void Describe(V& v, Of<V, ServingFrame> f) {
  v.MaybeTexts("added", f.added, kAddedMax, kListenerNameBytesMax + 1 + kAddressBytesMax);
}

template <typename V>
void Describe(V& v, Of<V, ReadsFrame> f) {
  v.Text("listener", f.listener, kListenerNameBytesMax);
  v.Texts("formats", f.formats, kFormatsMax, kFormatBytesMax);
}

template <typename V>
void Describe(V& v, Of<V, ReleaseFrame> f) {
  v.Flag("wish", f.wish);
}

template <typename V>
void Describe(V& v, Of<V, OlderGeneration> f) {
  v.Number("generation", f.number, 1, kIntMax);
  v.Number("pid", f.pid, 0, kIntMax);
  v.Text("version", f.version, kVersionBytesMax);
  v.Flag("pidfd", f.pidfd);
}

template <typename V>
void Describe(V& v, Of<V, DrainingFrame> f) {
  v.List("older", f.older, kOlderGenerationsMax);
}

template <typename V>
void Describe(V& v, Of<V, BusyFrame> f) {
  v.Number("pid", f.pid, 0, kIntMax);
  v.Text("state", f.state, kStateBytesMax);
  v.Time("retry_after_ms", f.retry_after);
}

template <typename V>
void Describe(V& v, Of<V, WithReason> f) {
  v.Text("reason", f.reason, kReasonBytesMax);
}

template <typename T>
void Writer::Fill(Json* json, const T& value) {
  *json = Json::object();
  Writer writer(json);
  Describe(writer, value);
}

template <typename T>
void Reader::Read(const Json& json, std::string path, T* value) {
  if (!json.is_object()) return Fail(path, Shown(json), "an object");
  Reader reader(json, std::move(path), &status_);
  Describe(reader, *value);
}

// The empty frame of that name.
template <size_t kIndex = 0>
absl::optional<Frame> FrameNamed(absl::string_view name) {
  if constexpr (kIndex == std::variant_size_v<Frame>) {
    return absl::nullopt;
  } else {
    Frame frame(std::in_place_index<kIndex>);
    if (FrameName(frame) == name) return frame;
    return FrameNamed<kIndex + 1>(name);
  }
}

}  // namespace

std::string Encode(const Frame& frame) {
  Json object = Json::object();
  object["type"] = std::string(FrameName(frame));
  Writer writer(&object);
  std::visit([&](const auto& value) { Describe(writer, value); }, frame);
  return Dump(object);
}

absl::StatusOr<Frame> Decode(absl::string_view bytes, int fd_count) {
  if (bytes.size() > kChunkBytesMax) {
    return absl::DataLossError(
        absl::StrCat("decode frame: got ", bytes.size(), " bytes, want at most ", kChunkBytesMax));
  }
  const Json object = Json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::DataLossError(absl::StrCat("decode frame: got ",
                                            object.is_discarded() ? "no JSON" : Shown(object), " (",
                                            bytes.size(), " bytes), want a JSON object"));
  }
  const auto type = object.find("type");
  absl::optional<Frame> frame;
  if (type != object.end() && type->is_string())
    frame = FrameNamed(type->get_ref<const std::string&>());
  if (!frame.has_value()) {
    return absl::DataLossError(absl::StrCat("decode frame: field \"type\": got ",
                                            type == object.end() ? "nothing" : Shown(*type),
                                            ", want a frame of protocol ", kProtocol));
  }
  absl::Status status;
  Reader reader(object, "", &status);
  std::visit([&](auto& value) { Describe(reader, value); }, *frame);
  if (status.ok() && FdCount(*frame) != fd_count) {
    status =
        absl::DataLossError(absl::StrCat("got ", fd_count, " descriptors, want ", FdCount(*frame)));
  }
  if (status.ok()) return *std::move(frame);
  return absl::DataLossError(
      absl::StrCat("decode ", FrameName(*frame), " frame: ", status.message()));
}

}  // namespace zdd
