#include "tests/load/options.h"

#include "absl/strings/str_cat.h"
#include "tests/load/report.h"

namespace zdd {
namespace {

absl::string_view KindName(LoadKind kind) {
  switch (kind) {
    case LoadKind::kNew:
      return "new connections";
    case LoadKind::kKeepAlive:
      return "keep-alive";
    case LoadKind::kSlow:
      return "slow answers";
    case LoadKind::kUpload:
      return "uploads";
    case LoadKind::kStream:
      return "streams";
    case LoadKind::kTunnel:
      return "tunnels";
    case LoadKind::kIdle:
      return "idle, used later";
    case LoadKind::kLate:
      return "connect, ask late";
  }
  return "?";
}

}  // namespace

std::string DefaultName(const LoadGroup& group) {
  const absl::string_view kind = KindName(group.kind);
  if (group.rate > 0) return absl::StrCat(kind, ", ", group.rate, "/s");
  if (group.think > absl::ZeroDuration()) {
    return absl::StrCat(kind, ", think ", ShortDuration(group.think));
  }
  const bool saturates = group.kind == LoadKind::kNew || group.kind == LoadKind::kKeepAlive;
  return absl::StrCat(kind, saturates ? ", saturated" : "");
}

}  // namespace zdd
