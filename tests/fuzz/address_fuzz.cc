// Whatever is parsed is written back as a text that means the same, and whatever is refused is
// refused with a short, printable reason.
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/property.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

void CheckRefusal(const absl::Status& status) {
  ZDD_PROPERTY(status.code() == absl::StatusCode::kInvalidArgument);
  ZDD_PROPERTY(status.message().size() < 1000);
  for (char c : status.message()) ZDD_PROPERTY(c >= ' ' && c <= '~');
}

void CheckAddress(const Address& address) {
  const std::string text = address.ToString();
  absl::StatusOr<Address> again = Address::Parse(text);
  ZDD_PROPERTY(again.ok());
  ZDD_PROPERTY(*again == address);
  ZDD_PROPERTY(again->ToString() == text);
  absl::StatusOr<Address> from_kernel =
      Address::FromSockaddr(address.transport(), address.sockaddr(), address.size());
  ZDD_PROPERTY(from_kernel.ok());
  ZDD_PROPERTY(*from_kernel == address);
  ZDD_PROPERTY(address.port() >= 0 && address.port() <= 65535);
  ZDD_PROPERTY(address.path().size() <= Address::kUnixPathBytesMax);
  ZDD_PROPERTY(address.WithPort(address.port()) == address);
}

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<zdd::Address> parsed = zdd::Address::Parse(input);
  if (parsed.ok()) {
    zdd::CheckAddress(*parsed);
  } else {
    zdd::CheckRefusal(parsed.status());
  }
  return 0;
}
