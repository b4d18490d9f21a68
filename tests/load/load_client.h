// LoadClient drives an HTTP/1.1 server as many different clients do at once, and tolerates nothing:
// each request ends in one outcome, and all but "ok" are losses. An oracle for tests, a load for
// demonstrations and benchmarks.
//
//   absl::StatusOr<std::unique_ptr<LoadClient>> load = LoadClient::Start(
//       {.address = "tcp://127.0.0.1:8080",
//        .groups = {{.kind = LoadKind::kNew, .connections = 32, .rate = 1000},
//                   {.kind = LoadKind::kStream, .connections = 8, .length = absl::Seconds(2)}}});
//   ASSERT_TRUE(load.ok()) << load.status();
//   (*load)->Mark("upgrade to v2");
//   kill(pid, SIGUSR2);
//   EXPECT_TRUE((*load)->AwaitVersion("v2", absl::Seconds(10)));
//   (*load)->MarkEnd();
//   LoadReport report = (*load)->Stop();
//   EXPECT_EQ(report.lost(), 0) << report.ToTable();
//
// The server answers what examples/http_server answers: /, /slow, /upload, /stream, /echo, each
// with X-Version. A new version is known by a new X-Version.
//
// Threads: any call from any thread; the users live on threads of their own. Lifetime: the
// destructor stops. Errors: Start: InvalidArgument (an option, named), ResourceExhausted
// (descriptors).
#ifndef TESTS_LOAD_LOAD_CLIENT_H_
#define TESTS_LOAD_LOAD_CLIENT_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "tests/load/options.h"
#include "tests/load/report.h"
#include "tests/load/timeline.h"
#include "tests/load/worker.h"
#include "zdd/base/mutex.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {

class LoadClient {
 public:
  static absl::StatusOr<std::unique_ptr<LoadClient>> Start(LoadOptions options);
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // A restart begins now: until MarkEnd(), but at least for LoadOptions::window, latencies count as
  // `around` it.
  void Mark(absl::string_view label) { timeline_.Mark(label, MonotonicNow()); }
  // It is over: idle users use their connections. Nothing happens the second time.
  void MarkEnd();

  // Waits until `version` has answered; how long that was after the last Mark(). None: it did not
  // within `timeout`.
  absl::optional<absl::Duration> AwaitVersion(absl::string_view version, absl::Duration timeout) {
    return timeline_.Await(version, timeout);
  }

  // Waits until each group has had a right answer. False: one had none within `timeout`.
  bool AwaitAllGroups(absl::Duration timeout) const;

  // What was seen until now; requests that run have started and not ended.
  LoadReport Peek() const;

  // Begins nothing more, waits for the end of what runs (at most length + timeout), and tells. The
  // second time: the same.
  LoadReport Stop();

 private:
  LoadClient(LoadOptions options, const Address& server);
  absl::Status AddWorkers();

  const LoadOptions options_;
  const Address server_;
  const Instant start_ = MonotonicNow();
  Timeline timeline_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Mutex stop_mutex_;  // held over Stop()
  absl::optional<Instant> stopped_ ABSL_GUARDED_BY(stop_mutex_);
};

}  // namespace zdd

#endif  // TESTS_LOAD_LOAD_CLIENT_H_
