#include "zdd/service/exec_error.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "zdd/base/status.h"
#include "zdd/service/small_file.h"

namespace zdd {
namespace {

constexpr size_t kFirstLineBytesMax = 256;  // what the kernel looks at: BINPRM_BUF_SIZE

std::string WhyNotFound(const std::string& program) {
  struct stat facts;
  if (lstat(program.c_str(), &facts) != 0) return "install it, or set Options::command";
  if (S_ISLNK(facts.st_mode) && stat(program.c_str(), &facts) != 0) {
    return "a symbolic link that leads nowhere";
  }
  absl::StatusOr<std::string> head = ReadHead(program, kFirstLineBytesMax);
  absl::string_view line = head.ok() ? absl::string_view(*head) : "";
  if (!absl::ConsumePrefix(&line, "#!")) return "it is there, but its dynamic loader is missing";
  line = absl::StripLeadingAsciiWhitespace(line.substr(0, line.find('\n')));
  return absl::StrCat("it is there, but its interpreter ",
                      absl::CHexEscape(line.substr(0, line.find_first_of(" \t\r"))), " is missing");
}

std::string WhyDenied(const std::string& program) {
  struct stat facts;
  if (stat(program.c_str(), &facts) != 0) return "a directory on its path is closed to this user";
  if (S_ISDIR(facts.st_mode)) return "a directory, no program";
  if (!S_ISREG(facts.st_mode)) return "no regular file";
  if (access(program.c_str(), X_OK) != 0) return "not executable for this user: chmod +x it";
  return "its file system is mounted noexec, or its interpreter is not executable";
}

std::string AddressSpaceLimit() {
  rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return "not set";
  return absl::StrCat(limit.rlim_cur, " bytes");
}

struct Advice {
  absl::StatusCode code;
  std::string text;
};

Advice AdviceFor(int error, const std::string& program) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return {absl::StatusCode::kNotFound, WhyNotFound(program)};
    case EACCES:
    case EPERM:
      return {absl::StatusCode::kPermissionDenied, WhyDenied(program)};
    case ENOEXEC:
      return {
          absl::StatusCode::kFailedPrecondition,
          "no program for this machine: a script needs a #! line, a binary the right processor"};
    case ETXTBSY:
      return {absl::StatusCode::kUnavailable,
              "it is being written: replace it by rename, or try again when that is done"};
    case EAGAIN:
      return {absl::StatusCode::kResourceExhausted,
              "the limit of processes is reached (RLIMIT_NPROC, or pids.max of the cgroup)"};
    case ENOMEM:
      return {absl::StatusCode::kResourceExhausted,
              absl::StrCat("memory is short: RLIMIT_AS of this process (", AddressSpaceLimit(),
                           "), memory.max of the cgroup, or the machine's own")};
    case E2BIG:
      return {absl::StatusCode::kInvalidArgument, "command and environment are too long"};
    default:
      return {ErrnoStatus(error, "").code(), ""};
  }
}

}  // namespace

absl::Status ExecError(int error, const std::string& program) {
  Advice advice = AdviceFor(error, program);
  absl::Status status = ErrnoStatus(error, absl::StrCat("start ", program));
  return absl::Status(advice.code,
                      absl::StrCat(status.message(), advice.text.empty() ? "" : ": ", advice.text));
}

}  // namespace zdd
