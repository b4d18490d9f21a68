// Any bytes as a text without those that are not plain: they become %XX, as in a URI.
//
//   zdd::PercentEncode("caf\xc3\xa9 100%", absl::ascii_isprint);    // "caf%C3%A9 100%25"
//
// Threads: any.
#ifndef ZDD_BASE_PERCENT_H_
#define ZDD_BASE_PERCENT_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace zdd {

// '%' is never plain.
std::string PercentEncode(absl::string_view bytes, absl::FunctionRef<bool(char)> plain);

// None: two hexadecimal digits are missing behind a '%'.
absl::optional<std::string> PercentDecode(absl::string_view text);

}  // namespace zdd

#endif  // ZDD_BASE_PERCENT_H_
