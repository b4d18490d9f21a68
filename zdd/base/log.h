// Events for people and machines: what the library has to say goes as one LogEvent each to the sink
// of the embedder.
//
//   options.log = [](const zdd::LogEvent& event) { spdlog::info("{}", zdd::ToString(event)); };
//
// Threads: a sink is called from any thread, one call at a time for one service; it must not block
// for long, nor call the service. Lifetime: an event's strings live for the call.
#ifndef ZDD_BASE_LOG_H_
#define ZDD_BASE_LOG_H_

#include <cstdint>
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

// LineLog is a sink that writes one line for each event, from kInfo on, by one write(): the lines
// of two generations do not mix. It never waits for whoever reads: a full pipe (`| less`), a
// stopped terminal or a stuck journal costs lines, not clients. The next line that goes out says
// how many. A line is cut at PIPE_BUF bytes (4096): only so many go into a pipe whole or not at
// all.
class LineLog {
 public:
  // Borrows the descriptor.
  explicit LineLog(int fd) : fd_(fd) {}

  void operator()(const LogEvent& event);

 private:
  bool Write(const std::string& line) const;

  int fd_;
  int64_t dropped_ = 0;  // since the last line that went out
};

// What Options::log is by default.
LogSink LogToStderr();

}  // namespace zdd

#endif  // ZDD_BASE_LOG_H_
