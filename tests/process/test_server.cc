// A server that behaves as its script says, for tests of real generations: threads that answer
// HTTP/1.1 over zdd, and faults at exact moments.
//
//   test_server SCRIPT
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/process/answering.h"
#include "tests/process/script.h"
#include "zdd/service.h"

namespace {

// Runs tasks in their order.
class TaskThread {
 public:
  TaskThread() : thread_([this] { Run(); }) {}

  void Post(zdd::Task task) {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push(std::move(task));
    posted_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      posted_.wait(lock, [this] { return !tasks_.empty(); });
      zdd::Task task = std::move(tasks_.front());
      tasks_.pop();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable posted_;
  std::queue<zdd::Task> tasks_;
  std::thread thread_;
};

zdd::ListenOptions MakeListenOptions(const zdd::Script& script, absl::string_view option) {
  zdd::ListenOptions options;
  const std::vector<std::string> formats = script.All("format");
  if (!formats.empty()) {
    options.migration_format = formats[0];
    options.migration_reads.assign(formats.begin() + 1, formats.end());
  }
  options.dual_stack = option != "v6only";
  options.exclusive = option == "exclusive";
  if (absl::ConsumePrefix(&option, "device=")) options.device = std::string(option);
  return options;
}

zdd::Options MakeOptions(const zdd::Script& script, const std::string& name, zdd::Events* events) {
  zdd::Options options;
  options.name = name;
  options.version = script.Get("version");
  options.runtime_dir = script.Get("dir");
  options.pid_file = script.Get("pid_file");
  if (!script.Get("command").empty()) {
    options.command = absl::StrSplit(script.Get("command"), ' ');
  }
  options.working_directory = script.Get("working_directory");
  options.upgrade_signal = SIGUSR2;
  options.stop_signals = {SIGTERM};
  options.standby = script.Ms("standby_ms", 100);
  options.move_in_standby = script.Has("move_in_standby");
  options.silence = script.Ms("silence_ms", 1500);
  options.ready_timeout = script.Ms("ready_ms", 10000);
  options.hello_timeout = script.Ms("hello_ms", 5000);
  options.join_timeout = script.Ms("join_ms", 5000);
  options.drain.delay = script.Ms("delay_ms", 0);
  options.drain.spread = script.Ms("spread_ms", 100);
  options.drain.grace = script.Ms("grace_ms", 300);
  options.drain.deadline = script.Ms("deadline_ms", 3000);
  if (script.Has("draining_max") &&
      !absl::SimpleAtoi(script.Get("draining_max"), &options.draining_generations_max)) {
    std::abort();
  }
  options.drain.cut_spread = absl::Milliseconds(50);
  options.drain.linger = absl::Milliseconds(200);
  if (script.Get("on") == "embedder") options.loop = uv_default_loop();
  if (script.Get("on") == "executor") {
    static TaskThread* const thread = new TaskThread;
    options.executor = [](zdd::Task task) { thread->Post(std::move(task)); };
  }
  options.log = [events](const zdd::LogEvent& event) { events->Tell(event.name, event.message); };
  if (script.Has("stderr")) {
    options.log = [events, log = zdd::LogToStderr()](const zdd::LogEvent& event) mutable {
      log(event);
      events->Tell(event.name, event.message);
    };
  }
  return options;
}

void Accept(zdd::Listener listener, std::string version, bool once) {
  if (once) {
    zdd::Listener(listener).Accept();
    pause();
  }
  while (absl::optional<zdd::Connection> connection = listener.Accept()) {
    std::thread(zdd::Serve, *std::move(connection), version).detach();
  }
}

struct Running {
  zdd::Service service;
  std::vector<zdd::Listener> listeners;
  std::vector<std::unique_ptr<zdd::Acceptor>> acceptors;
};

sigset_t DrainSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// All threads block them.
void DrainBySignal(zdd::Listener listener, zdd::Events* events) {
  const sigset_t signals = DrainSignals();
  for (int signal = 0; sigwait(&signals, &signal) == 0;) {
    absl::Status status = signal == SIGUSR1 ? listener.Drain("signal") : listener.CancelDrain();
    if (!status.ok()) events->Tell("test.refused", status.ToString());
  }
}

int Die(zdd::Events* events, const absl::Status& status) {
  events->Tell("test.failed", status.ToString());
  return zdd::Fail(status);
}

absl::Status Begin(const zdd::Script& script, const std::string& name, zdd::Events* events,
                   Running* running) {
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(MakeOptions(script, name, events));
  if (!service.ok()) return service.status();
  running->service = *std::move(service);
  const std::string version = script.Get("version");
  const std::string mode = script.Get("mode", "push");
  for (const std::string& line : script.All("listen")) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    absl::StatusOr<zdd::Listener> listener = running->service.Listen(
        words[0], words[1], MakeListenOptions(script, words.size() > 2 ? words[2] : ""));
    if (!listener.ok()) return listener.status();
    events->Tell("test.listening",
                 absl::StrCat(listener->name(), " ", listener->address().ToString()));
    absl::Status set;
    if (absl::StartsWith(words[1], "udp:")) {
      running->acceptors.push_back(std::make_unique<zdd::EchoAcceptor>(version));
      set = listener->AcceptWith(running->acceptors.back().get());
    } else if (mode == "push") {
      set = listener->OnConnection([version](zdd::Connection connection) {
        std::thread(zdd::Serve, std::move(connection), version).detach();
      });
    } else if (mode == "raw") {
      running->acceptors.push_back(std::make_unique<zdd::ThreadAcceptor>(*listener, version));
      set = listener->AcceptWith(running->acceptors.back().get());
    }
    if (!set.ok()) return set;
    running->listeners.push_back(*listener);
  }
  const std::string fail = script.Get("fail");
  if (fail == "notready") {
    (void)running->service.AddReadinessCheck("never",
                                             [] { return absl::UnavailableError("not yet"); });
  }
  if (absl::StartsWith(fail, "check ")) {
    (void)running->service.AddReadinessCheck(
        "db", [fail] { return absl::InternalError(absl::StripPrefix(fail, "check ")); });
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const zdd::Script script = zdd::Script::Read(argv[1]);
  // Never destroyed: threads that were cut may still tell something.
  static zdd::Events* const events = new zdd::Events(script);
  events->Tell("test.started", script.Get("version"));
  rlim_t descriptors_max = 0;
  if (absl::SimpleAtoi(script.Get("nofile"), &descriptors_max)) {
    const rlimit limit = {descriptors_max, descriptors_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (const std::string log = script.Get("stderr"); !log.empty()) {
    const int fd = open(log.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) return 3;
  }
  const std::string directory = script.Get("chdir");
  if (!directory.empty() && chdir(directory.c_str()) != 0) return 3;
  const std::string fail = script.Get("fail");
  if (absl::StartsWith(fail, "exit ")) return std::atoi(fail.c_str() + 5);
  if (fail == "crash") raise(SIGSEGV);
  if (fail == "out_of_memory") {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_AS, &none);
    std::vector<char> never(1 << 30);
  }
  if (fail == "out_of_fds") {
    const rlimit few = {4, 4};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  if (fail == "hang_early") pause();
  int uid = 0;
  if (absl::SimpleAtoi(script.Get("uid"), &uid) && setuid(uid) != 0) return 3;

  if (script.Has("drain_by_signal")) {
    const sigset_t signals = DrainSignals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
  Running first;
  Running second;
  if (absl::Status status = Begin(script, script.Get("name", "test"), events, &first);
      !status.ok()) {
    return Die(events, status);
  }
  if (fail == "hang") pause();
  if (!script.Get("also").empty()) {
    if (absl::Status status = Begin(script, script.Get("also"), events, &second); !status.ok())
      return Die(events, status);
  }
  if (absl::Status status = first.service.Start(); !status.ok()) return Die(events, status);
  if (!script.Get("also").empty()) {
    if (absl::Status status = second.service.Start(); !status.ok()) return Die(events, status);
  }
  for (const zdd::Listener& listener : first.listeners) {
    if (listener.name() != script.Get("drain_by_signal")) continue;
    std::thread(DrainBySignal, listener, events).detach();
  }
  std::vector<std::thread> threads;
  if (script.Get("mode") == "pull" && fail != "no_accept") {
    for (Running* running : {&first, &second}) {
      for (const zdd::Listener& listener : running->listeners) {
        threads.emplace_back(Accept, listener, script.Get("version"), fail == "accept_once");
      }
    }
  }
  if (script.Get("on") == "embedder") uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  zdd::Report report = first.service.Wait();
  if (!script.Get("also").empty()) second.service.Wait();
  for (std::thread& thread : threads) thread.join();
  events->Tell("test.ended", report.ToJson());
  return report.exit_code();
}
