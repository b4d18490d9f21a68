// A server that behaves as its script says, for tests of real generations: threads that answer
// HTTP/1.1 over zdd, and faults at exact moments.
//
//   test_server SCRIPT
//
// The script is read at start, so that each generation can behave differently. A line each:
//   name S | dir D | pid_file F | version V       Options
//   mode pull|push|raw              how every listener accepts (push)
//   on embedder | executor          callbacks run on a loop of the server's own, or a thread of its
//   own listen NAME ADDRESS [OPTION]    any number of times; OPTION: v6only, exclusive or device=D.
//   A UDP
//                                   socket answers each datagram with "version datagram"
//   LIMIT_ms N                      LIMIT: standby, silence, ready, hello, join, delay, spread,
//   grace,
//                                   deadline
//   draining_max N
//   chdir D                         goes there first
//   nofile N                        its limit of descriptors
//   working_directory D             where an upgrade starts
//   fail exit N | out_of_memory | out_of_fds | crash | hang | hang_early | notready | check TEXT |
//   no_accept | accept_once command WORDS                   what an upgrade starts uid N become
//   that user first at EVENT FAULT                  FAULT: kill, stop, stop_process or exit; does
//   it to itself when
//                                   it logs EVENT the first time
//   events FIFO                     where each event goes, as a line "pid event message"
//   also NAME                       a second service of that name in the same process
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
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
#include "zdd/drain/close_gently.h"
#include "zdd/service.h"

namespace {

struct Script {
  std::multimap<std::string, std::string> lines;

  static Script Read(const char* path) {
    Script script;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      std::pair<std::string, std::string> entry = absl::StrSplit(line, absl::MaxSplits(' ', 1));
      script.lines.insert(entry);
    }
    return script;
  }
  std::string Get(const std::string& key, const std::string& otherwise = "") const {
    auto it = lines.find(key);
    return it == lines.end() ? otherwise : it->second;
  }
  absl::Duration Ms(const std::string& key, int otherwise) const {
    int ms = otherwise;
    if (lines.count(key) != 0 && !absl::SimpleAtoi(Get(key), &ms)) std::abort();
    return absl::Milliseconds(ms);
  }
};

// Writes events to the FIFO, and does to this process what the script says at them.
class Events {
 public:
  explicit Events(const Script& script) {
    std::string fifo = script.Get("events");
    if (!fifo.empty()) fd_ = open(fifo.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    auto range = script.lines.equal_range("at");
    for (auto it = range.first; it != range.second; ++it) {
      std::pair<std::string, std::string> fault = absl::StrSplit(it->second, ' ');
      faults_.insert(fault);
    }
  }

  void Tell(absl::string_view event, absl::string_view message) {
    std::string line = absl::StrCat(getpid(), " ", event, " ", message);
    for (char& c : line) c = c == '\n' ? ' ' : c;
    line.resize(std::min<size_t>(line.size(), PIPE_BUF - 1));
    line += '\n';
    if (fd_ >= 0 && write(fd_, line.data(), line.size()) < 0) std::abort();
    auto it = faults_.find(std::string(event));
    if (it == faults_.end()) return;
    std::string fault = it->second;
    faults_.erase(it);
    Do(fault);
  }

 private:
  void Do(const std::string& fault) {
    if (fault == "kill") raise(SIGKILL);
    if (fault == "stop") raise(SIGSTOP);
    if (fault == "exit") _exit(7);
    if (fault == "stop_process") kill(getpid(), SIGSTOP);
  }

  int fd_ = -1;
  std::map<std::string, std::string> faults_;
};

bool SendAll(int fd, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += n;
      continue;
    }
    pollfd polled = {fd, POLLOUT, 0};
    if (n < 0 && errno == EAGAIN && poll(&polled, 1, 5000) == 1) continue;
    return false;
  }
  return true;
}

// One connection, on a thread of its own.
void Serve(zdd::Connection connection, std::string version) {
  const int fd = connection.fd.get();
  std::string input;
  char buffer[16384];
  int asked = connection.ticket.AskedFd();
  connection.ticket.SetBusy(false);
  for (;;) {
    size_t end;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
      pollfd polled[] = {{fd, POLLIN, 0}, {asked, POLLIN, 0}};
      poll(polled, 2, -1);
      if (polled[1].revents != 0) asked = -1;
      ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return connection.ticket.Reset();
      if (n > 0) connection.ticket.SetBusy(true);
      if (n > 0) input.append(buffer, n);
    }
    std::string head = input.substr(0, end);
    input.erase(0, end + 4);
    int slow_ms = 0;
    size_t slow = head.find("/slow?ms=");
    if (slow != std::string::npos) slow_ms = std::atoi(head.c_str() + slow + 9);
    if (slow_ms > 0) poll(nullptr, 0, slow_ms);
    const bool close =
        connection.ticket.ShouldClose() || absl::StrContains(head, "onnection: close");
    const std::string body = "hello\n";
    std::string response =
        absl::StrCat("HTTP/1.1 200 OK\r\nX-Version: ", version, "\r\nContent-Length: ", body.size(),
                     close ? "\r\nConnection: close" : "", "\r\n\r\n", body);
    if (!SendAll(fd, response)) return connection.ticket.Reset();
    if (close) {
      zdd::CloseGently(std::move(connection.fd), std::move(connection.ticket));
      return;
    }
    if (input.empty()) connection.ticket.SetBusy(false);
  }
}

// Accepts by itself, a thread for each socket.
class ThreadAcceptor : public zdd::Acceptor {
 public:
  ThreadAcceptor(zdd::Listener listener, std::string version)
      : listener_(listener), version_(std::move(version)) {}

  void Start(int socket, zdd::OwnedFd fd) override {
    auto stop = std::make_shared<std::atomic<bool>>(false);
    stops_[socket] = stop;
    threads_[socket] = std::thread([this, stop, fd = std::move(fd)]() mutable {
      while (!*stop) {
        pollfd polled = {fd.get(), POLLIN, 0};
        if (poll(&polled, 1, 10) != 1) continue;
        zdd::OwnedFd accepted(accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!accepted.valid()) continue;
        zdd::Connection connection;
        connection.ticket = listener_.Enter(accepted.get());
        connection.fd = std::move(accepted);
        std::thread(Serve, std::move(connection), version_).detach();
      }
    });
  }

  void Stop(int socket, zdd::Task stopped) override {
    *stops_[socket] = true;
    std::thread([thread = std::move(threads_[socket]), stopped = std::move(stopped)]() mutable {
      thread.join();
      stopped();
    }).detach();
  }

 private:
  zdd::Listener listener_;
  const std::string version_;
  std::map<int, std::thread> threads_;
  std::map<int, std::shared_ptr<std::atomic<bool>>> stops_;
};

// Answers datagrams, a thread for each socket.
class EchoAcceptor : public zdd::Acceptor {
 public:
  explicit EchoAcceptor(std::string version) : version_(std::move(version)) {}

  void Start(int /*socket*/, zdd::OwnedFd fd) override {
    stop_ = false;
    thread_ = std::thread([this, fd = std::move(fd)] {
      while (!stop_) {
        pollfd polled = {fd.get(), POLLIN, 0};
        if (poll(&polled, 1, 10) == 1) Answer(fd.get());
      }
    });
  }

  void Stop(int /*socket*/, zdd::Task stopped) override {
    stop_ = true;
    std::thread([thread = std::move(thread_), stopped = std::move(stopped)]() mutable {
      thread.join();
      stopped();
    }).detach();
  }

 private:
  void Answer(int fd) const {
    char text[512];
    sockaddr_storage from;
    socklen_t size = sizeof(from);
    auto* address = reinterpret_cast<sockaddr*>(&from);
    const ssize_t n = recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, address, &size);
    if (n < 0) return;
    const std::string answer = absl::StrCat(version_, " ", absl::string_view(text, n));
    sendto(fd, answer.data(), answer.size(), 0, address, size);
  }

  const std::string version_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

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

zdd::ListenOptions MakeListenOptions(absl::string_view option) {
  zdd::ListenOptions options;
  options.dual_stack = option != "v6only";
  options.exclusive = option == "exclusive";
  if (absl::ConsumePrefix(&option, "device=")) options.device = std::string(option);
  return options;
}

zdd::Options MakeOptions(const Script& script, const std::string& name, Events* events) {
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
  options.silence = script.Ms("silence_ms", 1500);
  options.ready_timeout = script.Ms("ready_ms", 10000);
  options.hello_timeout = script.Ms("hello_ms", 5000);
  options.join_timeout = script.Ms("join_ms", 5000);
  options.drain.delay = script.Ms("delay_ms", 0);
  options.drain.spread = script.Ms("spread_ms", 100);
  options.drain.grace = script.Ms("grace_ms", 300);
  options.drain.deadline = script.Ms("deadline_ms", 3000);
  if (script.lines.count("draining_max") != 0 &&
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
  return options;
}

void Accept(zdd::Listener listener, std::string version, bool once) {
  if (once) {
    zdd::Listener(listener).Accept();
    pause();
  }
  while (absl::optional<zdd::Connection> connection = listener.Accept()) {
    std::thread(Serve, *std::move(connection), version).detach();
  }
}

struct Running {
  zdd::Service service;
  std::vector<zdd::Listener> listeners;
  std::vector<std::unique_ptr<zdd::Acceptor>> acceptors;
};

int Die(Events* events, const absl::Status& status) {
  events->Tell("test.failed", status.ToString());
  return zdd::Fail(status);
}

absl::Status Begin(const Script& script, const std::string& name, Events* events,
                   Running* running) {
  absl::StatusOr<zdd::Service> service = zdd::Service::Create(MakeOptions(script, name, events));
  if (!service.ok()) return service.status();
  running->service = *std::move(service);
  const std::string version = script.Get("version");
  const std::string mode = script.Get("mode", "push");
  auto range = script.lines.equal_range("listen");
  for (auto it = range.first; it != range.second; ++it) {
    const std::vector<std::string> words = absl::StrSplit(it->second, ' ');
    absl::StatusOr<zdd::Listener> listener = running->service.Listen(
        words[0], words[1], MakeListenOptions(words.size() > 2 ? words[2] : ""));
    if (!listener.ok()) return listener.status();
    events->Tell("test.listening",
                 absl::StrCat(listener->name(), " ", listener->address().ToString()));
    absl::Status set;
    if (absl::StartsWith(words[1], "udp:")) {
      running->acceptors.push_back(std::make_unique<EchoAcceptor>(version));
      set = listener->AcceptWith(running->acceptors.back().get());
    } else if (mode == "push") {
      set = listener->OnConnection([version](zdd::Connection connection) {
        std::thread(Serve, std::move(connection), version).detach();
      });
    } else if (mode == "raw") {
      running->acceptors.push_back(std::make_unique<ThreadAcceptor>(*listener, version));
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
  const Script script = Script::Read(argv[1]);
  // Never destroyed: threads that were cut may still tell something.
  static Events* const events = new Events(script);
  events->Tell("test.started", script.Get("version"));
  rlim_t descriptors_max = 0;
  if (absl::SimpleAtoi(script.Get("nofile"), &descriptors_max)) {
    const rlimit limit = {descriptors_max, descriptors_max};
    setrlimit(RLIMIT_NOFILE, &limit);
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
