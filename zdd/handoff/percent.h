// Any bytes as printable ASCII: '%' and whatever is no printable ASCII becomes %XX.
//
//   zdd::PercentEncode("caf\xc3\xa9 100%");    // "caf%C3%A9 100%25"
//
// Threads: any.
#ifndef ZDD_HANDOFF_PERCENT_H_
#define ZDD_HANDOFF_PERCENT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

std::string PercentEncode(absl::string_view bytes);

// None: two hexadecimal digits are missing behind a '%'.
absl::optional<std::string> PercentDecode(absl::string_view text);

}  // namespace zdd

#endif  // ZDD_HANDOFF_PERCENT_H_
