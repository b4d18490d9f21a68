#include "zdd/net/address.h"

static_assert(__cplusplus < 202002L, "this file is compiled as C++17");

namespace zdd {

bool IsLoopback(const Address& address) { return address == *Address::Parse("tcp://[::1]:80"); }

}  // namespace zdd
