// What a LoadClient shall do: groups of users, each group behaving in one way.
//
//   LoadOptions options;
//   options.address = "tcp://127.0.0.1:8080";
//   options.groups = {{.kind = LoadKind::kNew, .connections = 32, .rate = 500},
//                     {.kind = LoadKind::kKeepAlive, .connections = 64},  // saturated
//                     {.kind = LoadKind::kKeepAlive, .think = absl::Milliseconds(100)},
//                     {.kind = LoadKind::kStream, .length = absl::Seconds(2)}};
//
// Threads, lifetime: plain values. Errors: LoadClient::Start checks them.
#ifndef TESTS_LOAD_OPTIONS_H_
#define TESTS_LOAD_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace zdd {

// How a user talks to the server. All but kNew, kTunnel and kLate use a connection again while the
// server lets them.
enum class LoadKind {
  kNew,         // GET / on a connection of its own
  kKeepAlive,   // GET / again and again
  kSlow,        // GET /slow
  kUpload,      // POST /upload in pieces; byte count and checksum of the answer are compared
  kStream,      // GET /stream; the counter in each line is compared
  kTunnel,      // GET /echo with an Upgrade; every byte that comes back is compared
  kIdle,        // GET /, then silent until a restart is over (LoadClient::MarkEnd), then GET /
  kLate,        // connects, sends GET / only `delay` later
  kPipelined,   // several GET /lines at once, in pieces that end anywhere; each line is compared
  kSlowReader,  // GET /lines, read slowly, so that the answer waits in the server; as kStream
};

struct LoadGroup {
  LoadKind kind = LoadKind::kKeepAlive;
  int connections = 1;

  // Pace. A rate is over the whole group and open: when answers are late, latency counts from when
  // a request was due. Else each user thinks after an answer, for times that are exponentially
  // distributed about `think`. Else: saturated.
  double rate = 0;
  absl::Duration think = absl::ZeroDuration();

  // Of one slow answer, upload, stream, tunnel, pipeline or slowly read answer: random, from half
  // of it to all of it.
  absl::Duration length = absl::Milliseconds(500);
  absl::Duration delay = absl::Milliseconds(300);  // kLate

  std::string
      name;  // in reports. Empty: "new connections, 500/s", "keep-alive, saturated", "streams"
};

struct LoadOptions {
  std::string address;  // tcp://IP:PORT or unix:PATH
  std::vector<LoadGroup> groups;
  int threads = 1;
  absl::Duration timeout = absl::Seconds(5);  // for one request, beyond its `length` and `delay`
  // A request counts as `around` a restart if it overlaps the time from Mark() until so much later,
  // or until MarkEnd().
  absl::Duration window = absl::Milliseconds(250);
  uint64_t seed = 1;
};

}  // namespace zdd

#endif  // TESTS_LOAD_OPTIONS_H_
