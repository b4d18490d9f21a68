// FrontDoorTest is the stage of the tests of service.h: options for a service of one process, what
// it says, and a client.
#ifndef TESTS_UNIT_SERVICE_FRONT_DOOR_FIXTURE_H_
#define TESTS_UNIT_SERVICE_FRONT_DOOR_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/service.h"

namespace zdd {

// A value that another thread will bring.
template <typename T>
class Awaited {
 public:
  void Set(T value) {
    MutexLock lock(&mutex_);
    value_ = std::move(value);
    changed_.SignalAll();
  }
  T Get() {
    MutexLock lock(&mutex_);
    while (!value_.has_value()) changed_.Wait(&mutex_);
    T value = *std::move(value_);
    value_.reset();
    return value;
  }
  bool Has() {
    MutexLock lock(&mutex_);
    return value_.has_value();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  absl::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

inline std::vector<std::string> Files(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename());
  return names;
}

// A client's end of a connection.
class Client {
 public:
  explicit Client(const Address& address)
      : fd_(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    connected_ = connect(fd_.get(), address.sockaddr(), address.size()) == 0;
  }
  bool connected() const { return connected_; }
  // Waits for the end of the connection; whatever comes before is dropped.
  bool ReadToEnd() {
    char byte;
    ssize_t size;
    while ((size = recv(fd_.get(), &byte, 1, 0)) > 0) {
    }
    return size == 0;
  }
  int fd() const { return fd_.get(); }

 private:
  OwnedFd fd_;
  bool connected_ = false;
};

// The names of all events so far. Apart from the fixture, since it outlives that if a service does.
class EventNames {
 public:
  void Add(absl::string_view name) {
    MutexLock lock(&mutex_);
    names_.emplace_back(name);
    added_.SignalAll();
  }
  void Await(absl::string_view name) {
    MutexLock lock(&mutex_);
    while (std::find(names_.begin(), names_.end(), name) == names_.end()) added_.Wait(&mutex_);
  }
  bool Has(absl::string_view name) {
    MutexLock lock(&mutex_);
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

 private:
  Mutex mutex_;
  CondVar added_;
  std::vector<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

class FrontDoorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  Options MakeOptions() {
    Options options;
    options.name = "test";
    options.version = "1.0";
    options.runtime_dir = dir_.File("run");
    options.drain.spread = absl::ZeroDuration();
    options.drain.grace = absl::ZeroDuration();
    options.drain.deadline = absl::Seconds(20);
    options.drain.cut_spread = absl::ZeroDuration();
    options.drain.linger = absl::ZeroDuration();
    options.log = [events = events_](const LogEvent& event) { events->Add(event.name); };
    return options;
  }

  FdAudit audit_;
  TempDir dir_;
  const std::shared_ptr<EventNames> events_ = std::make_shared<EventNames>();
};

}  // namespace zdd

#endif  // TESTS_UNIT_SERVICE_FRONT_DOOR_FIXTURE_H_
