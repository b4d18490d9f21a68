// How much fits into a frame. What is longer is cut by Encode and refused by Decode.
//
// Threads: constant data.
#ifndef ZDD_HANDOFF_FRAME_LIMITS_H_
#define ZDD_HANDOFF_FRAME_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace zdd {

inline constexpr size_t kChunkBytesMax =
    size_t{48} * 1024;  // of a frame, as an FdChannel carries it
inline constexpr size_t kChunkFdsMax = 252;
inline constexpr size_t kServiceNameBytesMax = 40;
inline constexpr size_t kListenerNameBytesMax = 128;
inline constexpr size_t kVersionBytesMax = 64;
inline constexpr size_t kBuildBytesMax = 128;
inline constexpr size_t kFeatureBytesMax = 40;
inline constexpr size_t kAddressBytesMax = 400;  // a Unix path of 107 bytes, each as %XX
inline constexpr size_t kDeviceBytesMax = 16;    // IFNAMSIZ
inline constexpr size_t kReasonBytesMax = 2000;
inline constexpr size_t kStateBytesMax = 40;
inline constexpr size_t kProtocolsMax = 16;
inline constexpr size_t kFeaturesMax = 64;
inline constexpr size_t kOlderGenerationsMax = 64;
inline constexpr size_t kAddedMax = 64;
inline constexpr size_t kFormatBytesMax = 64;  // as zdd/migration has it
inline constexpr size_t kFormatsMax = 16;      // that a listener reads
inline constexpr int kSocketsPerListenerMax = 64;
inline constexpr absl::Duration kTimeMax = absl::Hours(24 * 365);

}  // namespace zdd

#endif  // ZDD_HANDOFF_FRAME_LIMITS_H_
