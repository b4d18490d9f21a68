// Events for people and machines: what the library has to say goes as one LogEvent each to the sink
// of the embedder.
//
//   options.log = [](const zdd::LogEvent& event) { spdlog::info("{}", zdd::ToString(event)); };
//
// Threads: a sink is called from any thread, one call at a time for one service; it must not block
// for long, nor call the service. Lifetime: an event's strings live for the call.
#ifndef ZDD_BASE_LOG_H_
#define ZDD_BASE_LOG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"

namespace zdd {

enum class Severity { kDebug, kInfo, kWarning, kError };

struct LogEvent {
  Severity severity = Severity::kInfo;
  absl::string_view service;  // Options::name
  absl::string_view
      name;  // stable, dotted words: "phase.standby", "listener.bound", "upgrade.rolled_back"
  std::string message;                                      // a sentence for people
  std::vector<std::pair<std::string, std::string>> fields;  // the same for machines
};

using LogSink = absl::AnyInvocable<void(const LogEvent&)>;

// "zdd hello: generation 3 is serving". The name and the fields are for machines.
std::string ToString(const LogEvent& event);

// One line to stderr, by one write().
void LogToStderr(const LogEvent& event);

}  // namespace zdd

#endif  // ZDD_BASE_LOG_H_
