#include "tests/load/worker.h"

#include <sys/prctl.h>

#include <algorithm>
#include <utility>

namespace zdd {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

// Different for each user of a run, the same in each run.
uint64_t SeedOf(uint64_t seed, int group, int number) {
  return seed * 1'000'003 + static_cast<uint64_t>(group) * 100'003 + static_cast<uint64_t>(number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(const LoadOptions& options,
                                                       const Address* server, Timeline* timeline) {
  absl::StatusOr<std::unique_ptr<Reactor>> reactor = Reactor::Create();
  if (!reactor.ok()) return reactor.status();
  return std::unique_ptr<Worker>(new Worker(options, server, timeline, *std::move(reactor)));
}

Worker::Worker(const LoadOptions& options, const Address* server, Timeline* timeline,
               std::unique_ptr<Reactor> reactor)
    : options_(options),
      server_(server),
      reactor_(std::move(reactor)),
      recorder_(options.groups, timeline),
      buffer_(kBufferBytes) {}

Worker::~Worker() {
  Stop();
  Join();
}

void Worker::Add(int group, int number) {
  const User::Surroundings around = {reactor_.get(), &recorder_, absl::MakeSpan(buffer_), server_,
                                     options_.timeout};
  users_.push_back(std::make_unique<User>(options_.groups[group], group, number,
                                          SeedOf(options_.seed, group, number), around));
}

void Worker::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void Worker::RestartOver() {
  restart_over_.store(true);
  reactor_->Wake();
}

void Worker::Stop() {
  stop_.store(true);
  reactor_->Wake();
}

void Worker::Join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::Loop() {
  prctl(PR_SET_TIMERSLACK, 1);  // ns; else each wait may be 50 us too long
  for (const auto& user : users_) user->Start();
  bool stopping = false;
  while (!stopping || !AllStopped()) {
    reactor_->Poll();
    if (restart_over_.exchange(false)) {
      for (const auto& user : users_) user->RestartOver();
    }
    if (!stopping && stop_.load()) {
      stopping = true;
      for (const auto& user : users_) user->Stop();
    }
  }
}

bool Worker::AllStopped() const {
  return std::all_of(users_.begin(), users_.end(),
                     [](const auto& user) { return user->stopped(); });
}

}  // namespace zdd
