#include "zdd/base/status.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace zdd {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case EINVAL:
    case ENAMETOOLONG:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return absl::StatusCode::kInvalidArgument;
    case ENOENT:
    case ENODEV:
    case EADDRNOTAVAIL:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EEXIST:
    case EADDRINUSE:
      return absl::StatusCode::kAlreadyExists;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case ETOOMANYREFS:
      return absl::StatusCode::kResourceExhausted;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOTCONN:
    case EPIPE:
    case ESRCH:
    case EAGAIN:
      return absl::StatusCode::kUnavailable;
    case ETIMEDOUT:
      return absl::StatusCode::kDeadlineExceeded;
    case ENOEXEC:
    case ENOTDIR:
    case ENOTSOCK:
    case EBUSY:
      return absl::StatusCode::kFailedPrecondition;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOPROTOOPT:
      return absl::StatusCode::kUnimplemented;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ErrnoStatus(int error, absl::string_view operation_and_object) {
  const char* name = strerrorname_np(error);
  const char* description = strerrordesc_np(error);
  return absl::Status(CodeOf(error),
                      absl::StrCat(operation_and_object, ": ",
                                   description != nullptr ? description : "unknown error", " (",
                                   name != nullptr ? std::string(name) : absl::StrCat(error), ")"));
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace zdd
