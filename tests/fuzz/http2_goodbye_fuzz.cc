// Whatever a client sends and however it is cut, the goodbye says the same: at most one
// announcement and one last stream, which it had seen begin; and once it is asked it ends. The
// first byte of an input is the size of the pieces, the second where the goodbye is asked for, in
// 16ths; the rest is what the client sends after its preface, or instead of it if the first byte is
// 0.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/fuzz/property.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/http2_goodbye.h"

namespace zdd {
namespace {

constexpr Instant kNow = absl::Seconds(1000);
constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kGoAwayBytes = 17;
constexpr size_t kPingBytes = 17;

struct Outcome {
  absl::Status status;
  std::string said;
  uint32_t last_stream_id;
  bool busy;
};

class Connection {
 public:
  void Read(absl::string_view bytes, size_t piece) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
      const bool failed = !status_.ok();
      const absl::Status status = goodbye_.OnBytes(bytes.substr(0, piece));
      ZDD_PROPERTY(!failed || status == status_);
      status_ = status;
      said_ += goodbye_.TakeBytes();
    }
  }
  void Say() {
    goodbye_.OnAsk(Ask::kGoodbye, kNow);
    said_ += goodbye_.TakeBytes();
    ZDD_PROPERTY(said_.size() == kGoAwayBytes + kPingBytes);
  }
  Outcome Finish() {
    const Outcome outcome = {status_, said_, goodbye_.last_stream_id(), goodbye_.busy()};
    goodbye_.OnTime(goodbye_.next());
    said_ += goodbye_.TakeBytes();
    const size_t once = 2 * kGoAwayBytes + kPingBytes;  // and a second PING at most
    ZDD_PROPERTY(said_.size() == once || said_.size() == once + kPingBytes);
    ZDD_PROPERTY(goodbye_.done() == !goodbye_.busy());
    ZDD_PROPERTY(goodbye_.next() == absl::InfiniteDuration());
    goodbye_.OnAsk(Ask::kCloseNow, kNow);
    ZDD_PROPERTY(goodbye_.TakeBytes().empty());
    ZDD_PROPERTY(goodbye_.done());
    return outcome;
  }

 private:
  Http2Goodbye goodbye_;
  absl::Status status_;
  std::string said_;
};

Outcome Run(absl::string_view before, absl::string_view after, size_t piece) {
  Connection connection;
  connection.Read(before, piece);
  connection.Say();
  connection.Read(after, piece);
  return connection.Finish();
}

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = std::max<size_t>(data[0], 1);
  std::string sent(data[0] == 0 ? "" : zdd::kPreface);
  sent.append(reinterpret_cast<const char*>(data + 2), size - 2);
  const size_t ask = sent.size() * (data[1] % 17) / 16;
  const absl::string_view before = absl::string_view(sent).substr(0, ask);
  const absl::string_view after = absl::string_view(sent).substr(ask);
  const zdd::Outcome cut = zdd::Run(before, after, piece);
  const zdd::Outcome whole = zdd::Run(before, after, sent.size() + 1);
  ZDD_PROPERTY(cut.status == whole.status);
  ZDD_PROPERTY(cut.said == whole.said);
  ZDD_PROPERTY(cut.last_stream_id == whole.last_stream_id);
  ZDD_PROPERTY(cut.busy == whole.busy);
  return 0;
}
