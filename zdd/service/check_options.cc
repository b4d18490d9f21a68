#include "zdd/service/check_options.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"
#include "zdd/handoff/frames.h"
#include "zdd/service/pid_file.h"
#include "zdd/service/service_name.h"
#include "zdd/service/signals.h"

namespace zdd {
namespace {

absl::Status Between(absl::string_view field, absl::Duration value, absl::Duration low,
                     absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("options.", field, " is ", absl::FormatDuration(value), ", want ",
                   absl::FormatDuration(low), " to ", absl::FormatDuration(high)));
}

absl::Status CheckVersion(const std::string& version) {
  if (version.size() > kVersionBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("options.version has ", version.size(),
                                                   " bytes, want at most ", kVersionBytesMax));
  }
  if (std::all_of(version.begin(), version.end(), [](char c) { return absl::ascii_isprint(c); }))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("options.version is \"", absl::CHexEscape(version), "\", want printable ASCII"));
}

absl::Status CheckPidFileOption(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  return Annotate(CheckPidFile(path),
                  absl::StrCat("options.pid_file is \"", absl::CHexEscape(path), "\""));
}

absl::Status CheckSignals(const Options& options) {
  const std::vector<int>& stop = options.stop_signals;
  if (options.upgrade_signal != 0) {
    absl::Status fit = Annotate(CheckSignal(options.upgrade_signal), "options.upgrade_signal");
    if (!fit.ok()) return fit;
  }
  for (int signal : stop) {
    absl::Status fit = Annotate(CheckSignal(signal), "options.stop_signals");
    if (!fit.ok()) return fit;
    if (std::count(stop.begin(), stop.end(), signal) > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("options.stop_signals has ", SignalText(signal), " twice"));
    }
    if (signal == options.upgrade_signal) {
      return absl::InvalidArgumentError(
          absl::StrCat("options.stop_signals has ", SignalText(signal),
                       ", which is options.upgrade_signal too: give each a signal of its own"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOptions(const Options& options) {
  const absl::Duration zero = absl::ZeroDuration();
  for (const absl::Status& status :
       {Annotate(CheckServiceName(options.name), "options.name"), CheckVersion(options.version),
        CheckPidFileOption(options.pid_file), CheckSignals(options),
        Between("join_timeout", options.join_timeout, absl::Milliseconds(1), kTimeMax),
        Between("hello_timeout", options.hello_timeout, absl::Milliseconds(1), kTimeMax),
        Between("ready_timeout", options.ready_timeout, absl::Milliseconds(1), kTimeMax),
        Between("silence", options.silence, absl::Seconds(1), kTimeMax),
        Between("standby", options.standby, zero, kTimeMax),
        Annotate(Validate(options.drain), "options.drain")}) {
    if (!status.ok()) return status;
  }
  if (options.draining_generations_max < 1) {
    return absl::InvalidArgumentError(absl::StrCat("options.draining_generations_max is ",
                                                   options.draining_generations_max,
                                                   ", want 1 or more"));
  }
  if (!options.command.empty() && options.command[0].empty()) {
    return absl::InvalidArgumentError("options.command begins with an empty word, want a program");
  }
  if (!options.working_directory.empty() && options.working_directory.front() != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("options.working_directory is \"", absl::CHexEscape(options.working_directory),
                     "\", want an absolute path: generations may start in different directories"));
  }
  return absl::OkStatus();
}

}  // namespace zdd
