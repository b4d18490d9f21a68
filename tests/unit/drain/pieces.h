// Cut(bytes, size) gives what a stream may be read as: the same bytes in pieces of any one size.
#ifndef TESTS_UNIT_DRAIN_PIECES_H_
#define TESTS_UNIT_DRAIN_PIECES_H_

#include <cstddef>
#include <vector>

#include "absl/strings/string_view.h"

namespace zdd {

// The last piece may be smaller. REQUIRES: size > 0.
inline std::vector<absl::string_view> Cut(absl::string_view bytes, size_t size) {
  std::vector<absl::string_view> pieces;
  for (size_t at = 0; at < bytes.size(); at += size) pieces.push_back(bytes.substr(at, size));
  return pieces;
}

}  // namespace zdd

#endif  // TESTS_UNIT_DRAIN_PIECES_H_
