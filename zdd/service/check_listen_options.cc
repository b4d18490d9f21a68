#include "zdd/service/check_listen_options.h"

#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "zdd/handoff/frame_limits.h"

namespace zdd {
namespace {

absl::Status CheckName(absl::string_view name) {
  if (name.empty() || name.size() > kListenerNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("listener name \"", name, "\": got ",
                                                   name.size(), " bytes, want 1 to ",
                                                   kListenerNameBytesMax));
  }
  for (char c : name) {
    if (!absl::ascii_isgraph(c) || c == '"' || c == '@') {
      return absl::InvalidArgumentError(absl::StrCat(
          "listener name \"", name, "\": only printable characters without space, '\"' and '@'"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFormat(absl::string_view name, absl::string_view field,
                         absl::string_view format) {
  if (!format.empty() && format.size() <= kFormatBytesMax &&
      absl::c_all_of(format, [](char c) { return absl::ascii_isgraph(c); })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("listener \"", name, "\": ", field, " has \"", format, "\" (", format.size(),
                   " bytes), want 1 to ", kFormatBytesMax, " printable characters without space"));
}

absl::Status CheckFormats(absl::string_view name, const ListenOptions& options) {
  if (options.migration_format.empty()) {
    if (options.migration_reads.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("listener \"", name,
                     "\": migration_reads without a migration_format: give the one that this "
                     "version writes"));
  }
  if (options.migration_reads.size() >= kFormatsMax) {
    return absl::InvalidArgumentError(absl::StrCat("listener \"", name, "\": migration_reads has ",
                                                   options.migration_reads.size(),
                                                   " formats, want ", kFormatsMax - 1, " at most"));
  }
  absl::Status status = CheckFormat(name, "migration_format", options.migration_format);
  for (const std::string& format : options.migration_reads)
    status.Update(CheckFormat(name, "migration_reads", format));
  return status;
}

}  // namespace

absl::Status CheckListenOptions(absl::string_view name, const ListenOptions& options) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  if (options.backlog < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("listener \"", name, "\": backlog is ", options.backlog, ", want 1 or more"));
  }
  if (options.unix_mode.has_value() && (*options.unix_mode & ~0777) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("listener \"", name, "\": unix_mode is ",
                                                   *options.unix_mode, ", want 0 to 0777"));
  }
  return CheckFormats(name, options);
}

}  // namespace zdd
