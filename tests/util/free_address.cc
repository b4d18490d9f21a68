#include "tests/util/free_address.h"

#include "zdd/net/address.h"
#include "zdd/net/socket.h"
#include "zdd/net/socket_facts.h"

namespace zdd {

absl::StatusOr<std::string> FreeAddress() {
  absl::StatusOr<Address> any = Address::Parse("tcp://127.0.0.1:0");
  if (!any.ok()) return any.status();
  absl::StatusOr<BoundSocket> bound = BindSocket(*any);
  if (!bound.ok()) return bound.status();
  absl::StatusOr<SocketFacts> facts = Examine(bound->fd.get());
  if (!facts.ok()) return facts.status();
  return facts->address.ToString();
}

}  // namespace zdd
