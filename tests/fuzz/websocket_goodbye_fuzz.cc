// Whatever a client sends and however it is cut, the goodbye says the same: one close frame, whole
// and not masked; and once it is asked it ends. The first byte of an input is the size of the
// pieces, the second where the goodbye is asked for, in 16ths, or never; the rest is what the
// client sends.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/fuzz/property.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/websocket_goodbye.h"

namespace zdd {
namespace {

constexpr Instant kNow = absl::Seconds(1000);

struct Outcome {
  absl::Status status;
  std::string said;
  bool answered;
};

class Connection {
 public:
  void Read(absl::string_view bytes, size_t piece) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
      const bool failed = !status_.ok();
      const absl::Status status = goodbye_.OnBytes(bytes.substr(0, piece));
      ZDD_PROPERTY(!failed || status == status_);
      status_ = status;
      Take();
    }
  }
  void Hear(Ask ask) {
    goodbye_.OnAsk(ask, kNow);
    Take();
    ZDD_PROPERTY(goodbye_.closing());
  }
  Outcome Finish() {
    const Outcome outcome = {status_, said_, goodbye_.answered()};
    ZDD_PROPERTY(goodbye_.closing() == !said_.empty());
    Hear(Ask::kGoodbye);
    goodbye_.OnTime(goodbye_.next());
    ZDD_PROPERTY(goodbye_.done());
    ZDD_PROPERTY(goodbye_.next() == absl::InfiniteDuration());
    return outcome;
  }

 private:
  void Take() {
    said_ += goodbye_.TakeBytes();
    if (said_.empty()) return;
    ZDD_PROPERTY(said_[0] == '\x88');
    ZDD_PROPERTY(said_.size() == 2 || said_.size() == 4);  // so: one frame
    ZDD_PROPERTY(said_.size() == size_t{2} + static_cast<uint8_t>(said_[1]));
  }

  WebSocketGoodbye goodbye_;
  absl::Status status_;
  std::string said_;
};

Outcome Run(absl::string_view before, absl::string_view after, bool ask, size_t piece) {
  Connection connection;
  connection.Read(before, piece);
  if (ask) connection.Hear(Ask::kGoodbye);
  connection.Read(after, piece);
  return connection.Finish();
}

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = std::max<size_t>(data[0], 1);
  const absl::string_view sent(reinterpret_cast<const char*>(data + 2), size - 2);
  const bool ask = data[1] % 18 < 17;
  const size_t at = sent.size() * (data[1] % 17) / 16;
  const zdd::Outcome cut = zdd::Run(sent.substr(0, at), sent.substr(at), ask, piece);
  const zdd::Outcome whole = zdd::Run(sent.substr(0, at), sent.substr(at), ask, size);
  ZDD_PROPERTY(cut.status == whole.status);
  ZDD_PROPERTY(cut.said == whole.said);
  ZDD_PROPERTY(cut.answered == whole.answered);
  return 0;
}
