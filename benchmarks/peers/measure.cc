#include "benchmarks/peers/measure.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/load/load_client.h"
#include "tests/util/processes.h"
#include "zdd/base/time.h"

namespace zdd {
namespace {

constexpr absl::Duration kBefore = absl::Milliseconds(500);  // the first restart
constexpr absl::Duration kAfter = absl::Milliseconds(300);   // beyond the window of the load client
constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr absl::Duration kLook = absl::Milliseconds(1);
constexpr absl::Duration kWeigh = absl::Milliseconds(10);
constexpr absl::Duration kLong = absl::Seconds(1);

std::vector<LoadGroup> LongGroups() {
  std::vector<LoadGroup> groups;
  const std::pair<LoadKind, const char*> kinds[] = {{LoadKind::kSlow, "slow answers"},
                                                    {LoadKind::kUpload, "uploads in pieces"},
                                                    {LoadKind::kStream, "chunked streams"}};
  for (const auto& [kind, name] : kinds) {
    groups.push_back({.kind = kind,
                      .connections = 12,
                      .length = kLong,
                      .name = absl::StrCat(name, ", 0.5 to 1 s")});
  }
  return groups;
}

std::vector<LoadGroup> Groups(Session session) {
  const LoadKind kept = LoadKind::kKeepAlive;
  switch (session) {
    case Session::kPaced:
      return {{.kind = kept, .connections = 64, .rate = 2000, .name = "keep-alive, 2,000/s on 64"}};
    case Session::kSaturated:
      return {{.kind = kept, .connections = 64, .name = "keep-alive, saturated on 64"}};
    case Session::kThinking:
      return {{.kind = kept,
               .connections = 200,
               .think = absl::Milliseconds(100),
               .name = "keep-alive, think 100 ms on 200"}};
    case Session::kNew:
      return {{.kind = LoadKind::kNew,
               .connections = 32,
               .rate = 1000,
               .name = "new connections, 1,000/s"}};
    case Session::kLong:
      return LongGroups();
    case Session::kTunnels:
      return {{.kind = LoadKind::kTunnel,
               .connections = 24,
               .length = kLong,
               .name = "tunnels, 0.5 to 1 s"}};
  }
  return {};
}

// From one trigger to the next, unless the old one takes longer: all peers see as many requests.
absl::Duration Period(Session session) {
  const bool is_long = session == Session::kLong || session == Session::kTunnels;
  return is_long ? kLong + absl::Milliseconds(600) : absl::Milliseconds(700);
}

bool Living(const std::vector<pid_t>& pids) {
  return std::any_of(pids.begin(), pids.end(), IsLiving);
}

class Observer {
 public:
  Observer(Session session, const Server& server, LoadClient& load)
      : period_(Period(session)),
        weighs_(session == Session::kThinking),
        server_(server),
        load_(load) {}

  absl::Status Run(int restarts) {
    absl::SleepFor(kBefore);
    if (weighs_) seen_.steady_kib = seen_.peak_kib = server_.MemoryKib();
    for (int i = 0; i < restarts; ++i) {
      const Instant begin = MonotonicNow();
      const absl::Status status = Restart(absl::StrCat("v", i + 2));
      if (!status.ok()) return status;
      absl::SleepFor(std::max(kAfter, begin + period_ - MonotonicNow()));
    }
    seen_.groups = load_.Stop().groups;
    return absl::OkStatus();
  }

  Seen TakeSeen() { return std::move(seen_); }

 private:
  absl::Status Restart(const std::string& version) {
    const std::vector<pid_t> old = server_.Serving();
    if (old.empty()) return absl::InternalError("nobody serves");
    absl::Status status = server_.Install(version);
    if (!status.ok()) return status;
    load_.Mark(version);
    const Instant begin = MonotonicNow();
    status = server_.Replace();
    if (status.ok()) status = AwaitEnd(version, old, begin);
    return status;
  }

  // Until the new one has answered and nothing of the old one is left.
  absl::Status AwaitEnd(const std::string& version, const std::vector<pid_t>& old, Instant begin) {
    bool answered = false;
    bool gone = false;
    for (Instant now = begin; now - begin < kPatience; now = MonotonicNow()) {
      if (!answered) answered = NoteAnswer(version);
      if (!gone && !Living(old)) {
        gone = true;
        seen_.ends.push_back(now - begin);
      }
      if (answered && gone) return absl::OkStatus();
      if (weighs_) Weigh(now);
      absl::SleepFor(kLook);
    }
    return absl::DeadlineExceededError(absl::StrCat(version, answered ? "" : " does not answer",
                                                    gone ? "" : ", the old one does not end"));
  }

  // With the first answer ends the time that counts as around the restart, but not before 250 ms.
  bool NoteAnswer(const std::string& version) {
    const auto took = load_.AwaitVersion(version, absl::ZeroDuration());
    if (!took) return false;
    seen_.switches.push_back(*took);
    load_.MarkEnd();
    return true;
  }

  void Weigh(Instant now) {
    if (now - weighed_ < kWeigh) return;
    weighed_ = now;
    seen_.peak_kib = std::max(seen_.peak_kib, server_.MemoryKib());
  }

  const absl::Duration period_;
  const bool weighs_;
  const Server& server_;
  LoadClient& load_;
  Instant weighed_ = MonotonicNow();
  Seen seen_;
};

absl::StatusOr<Seen> Observe(Session session, const Recipe& recipe, const std::string& directory,
                             int restarts) {
  absl::StatusOr<Server> server = Server::Start(recipe, directory);
  if (!server.ok()) return server.status();
  auto load = LoadClient::Start({.address = server->address(), .groups = Groups(session)});
  if (!load.ok()) return load.status();
  if (!(*load)->AwaitAllGroups(kPatience)) return absl::DeadlineExceededError("no answers");
  Observer observer(session, *server, **load);
  const absl::Status status = observer.Run(restarts);
  if (status.ok()) return observer.TakeSeen();
  return absl::Status(status.code(), absl::StrCat(status.message(), "\n", server->LogTail()));
}

}  // namespace

absl::StatusOr<PeerFindings> MeasurePeer(const Recipe& recipe, const std::string& directory,
                                         int restarts) {
  std::error_code error;
  std::filesystem::create_directory(directory, error);
  if (error) return absl::UnavailableError(absl::StrCat("mkdir ", directory));
  PeerFindings findings;
  findings.name = recipe.name;
  for (int i = 0; i < kSessionCount; ++i) {
    absl::StatusOr<Seen> seen =
        Observe(static_cast<Session>(i), recipe, absl::StrCat(directory, "/", i), restarts);
    if (!seen.ok()) return seen.status();
    findings.sessions[i] = *std::move(seen);
  }
  return findings;
}

}  // namespace zdd
