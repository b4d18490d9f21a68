#include "benchmarks/restart/lone_server.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "benchmarks/util/probe.h"
#include "tests/util/free_address.h"
#include "zdd/net/address.h"

namespace zdd {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

absl::StatusOr<LoneServer> LoneServer::Start(const Rig& rig) {
  const absl::StatusOr<std::string> address = FreeAddress();
  if (!address.ok()) return address.status();
  const std::string port = address->substr(address->rfind(':') + 1);
  absl::StatusOr<Process> process = Process::Start(
      {rig.server, absl::StrCat("--listen=", *address), "--version_label=alone", "--threads=1",
       absl::StrCat("--runtime_dir=", rig.directory, "/alone", port)});
  if (!process.ok()) return process.status();
  return LoneServer(*address, *std::move(process));
}

absl::StatusOr<LoneServer> LoneServer::StartBare(const Rig& rig) {
  const absl::StatusOr<std::string> address = FreeAddress();
  if (!address.ok()) return address.status();
  absl::StatusOr<Process> process =
      Process::Start({rig.bare_server, absl::StrCat("--listen=", *address), "--version_label=alone",
                      "--threads=1"});
  if (!process.ok()) return process.status();
  return LoneServer(*address, *std::move(process));
}

absl::Status LoneServer::AwaitAnswer() const {
  const absl::StatusOr<Address> address = Address::Parse(address_);
  if (!address.ok()) return address.status();
  if (zdd::AwaitAnswer(*address, "alone", kPatience)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("no answer from ", address_));
}

}  // namespace zdd
