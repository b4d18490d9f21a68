// EventLog hands events to the embedder's sink, one at a time.
//
//   log.Info("listener.bound", "listener \"http\" is bound to tcp://0.0.0.0:80", {{"listener",
//   "http"}});
//
// Threads: any. The sink must not call back into the service.
#ifndef ZDD_SERVICE_EVENT_LOG_H_
#define ZDD_SERVICE_EVENT_LOG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "zdd/base/log.h"
#include "zdd/base/mutex.h"

namespace zdd {

class EventLog {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // A null sink is stderr.
  EventLog(std::string service, LogSink sink)
      : service_(std::move(service)), sink_(sink ? std::move(sink) : LogToStderr()) {}

  void Debug(absl::string_view name, std::string message, Fields fields = {}) {
    Write(Severity::kDebug, name, std::move(message), std::move(fields));
  }
  void Info(absl::string_view name, std::string message, Fields fields = {}) {
    Write(Severity::kInfo, name, std::move(message), std::move(fields));
  }
  void Warning(absl::string_view name, std::string message, Fields fields = {}) {
    Write(Severity::kWarning, name, std::move(message), std::move(fields));
  }
  void Error(absl::string_view name, std::string message, Fields fields = {}) {
    Write(Severity::kError, name, std::move(message), std::move(fields));
  }

 private:
  void Write(Severity severity, absl::string_view name, std::string message, Fields fields) {
    LogEvent event{severity, service_, name, std::move(message), std::move(fields)};
    MutexLock lock(&mutex_);
    sink_(event);
  }

  const std::string service_;
  Mutex mutex_;
  LogSink sink_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_EVENT_LOG_H_
