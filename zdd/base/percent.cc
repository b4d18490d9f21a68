#include "zdd/base/percent.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace zdd {

std::string PercentEncode(absl::string_view bytes, absl::FunctionRef<bool(char)> plain) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (unsigned char c : bytes) {
    if (c != '%' && plain(static_cast<char>(c))) {
      text += static_cast<char>(c);
    } else {
      text += {'%', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return text;
}

absl::optional<std::string> PercentDecode(absl::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const size_t plain = std::min(text.find('%'), text.size());
    bytes += std::string(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (text.size() < 3 || !absl::ascii_isxdigit(text[1]) || !absl::ascii_isxdigit(text[2]))
      return absl::nullopt;
    bytes += absl::HexStringToBytes(text.substr(1, 2));
    text.remove_prefix(3);
  }
  return bytes;
}

}  // namespace zdd
