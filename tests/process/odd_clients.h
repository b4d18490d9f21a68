// OddClients keep their connections in the middle of something: requests in a row with a half one
// behind them, half heads, a big answer that is read slowly. Each byte of an answer is compared.
//
//   OddClients clients(address, {{.kind = OddKind::kHalfHead, .connections = 8},
//                                {.kind = OddKind::kSlowReader, .bytes = 500'000}});
//   ... restarts ...
//   OddReport report = clients.Stop();
//   EXPECT_TRUE(report.losses.empty()) << report.losses[0];
//
// The server answers as examples/embed/http1.h does.
//
// Threads: one for each connection. Errors: each is a loss in the report.
#ifndef TESTS_PROCESS_ODD_CLIENTS_H_
#define TESTS_PROCESS_ODD_CLIENTS_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "zdd/base/mutex.h"

namespace zdd {

enum class OddKind {
  kPipelined,   // five requests and half of a sixth, then its other half
  kHalfHead,    // half a head, then the other half
  kSlowReader,  // GET /bytes/N, from a socket that takes little at a time
};

struct OddGroup {
  OddKind kind;
  int connections = 1;
  int bytes = 0;  // kSlowReader
};

struct OddReport {
  int64_t answers = 0;
  int64_t reconnects = 0;  // in due form
  std::vector<std::string> losses;
};

class OddClients {
 public:
  OddClients(std::string address, std::vector<OddGroup> groups);
  ~OddClients() { Stop(); }
  OddClients(const OddClients&) = delete;
  OddClients& operator=(const OddClients&) = delete;

  // By group. Each connection ends what it has begun.
  std::vector<OddReport> Stop();

 private:
  class Client;

  void Run(size_t group, uint64_t seed);

  const std::string address_;
  const std::vector<OddGroup> groups_;
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  std::vector<OddReport> reports_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace zdd

#endif  // TESTS_PROCESS_ODD_CLIENTS_H_
