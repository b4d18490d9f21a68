#include "zdd/service/service_name.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

constexpr char kNameBytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";

absl::Status Wrong(absl::string_view name, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("service name \"", absl::CHexEscape(name),
                                                 "\": ", reason, " (1 to ", kServiceNameBytesMax,
                                                 " of a-z, 0-9, '_', '.', '-')"));
}

}  // namespace

absl::Status CheckServiceName(absl::string_view name) {
  if (name.empty()) return Wrong(name, "empty");
  if (name.size() > kServiceNameBytesMax) {
    return Wrong(name, absl::StrCat("too long, ", name.size(), " bytes"));
  }
  size_t wrong = name.find_first_not_of(kNameBytes);
  if (wrong == name.npos) return absl::OkStatus();
  return Wrong(name, absl::StrCat("has a '", absl::CHexEscape(name.substr(wrong, 1)), "'"));
}

}  // namespace zdd
