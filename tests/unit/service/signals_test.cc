#include "zdd/service/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Taker = std::unique_ptr<SignalTaker>;

bool Readable(const SignalTaker& taker, int timeout_ms = 0) {
  pollfd entry = {taker.fd(), POLLIN, 0};
  return poll(&entry, 1, timeout_ms) == 1;
}

void Block(int signal, bool block = true) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

bool IsBlocked(int signal) {
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

// Set to a descriptor: whoever is about to write to it waits until that is taken back.
std::atomic<int> held_descriptor{-1};
std::atomic<bool> somebody_is_held{false};

std::atomic<int> embedder_calls{0};
void EmbedderHandler(int) { embedder_calls.fetch_add(1); }

// 'S' while the thread sleeps in the kernel (proc(5), stat).
char StateOf(pid_t thread) {
  std::ifstream in("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(in, line);
  size_t name_end = line.rfind(')');
  return name_end == line.npos ? '?' : line[name_end + 2];
}

class SignalsTest : public ::testing::Test {
  FdAudit audit_;
};

TEST_F(SignalsTest, ASignalIsReadOnceAndTheDescriptorIsQuietThen) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2, SIGTERM}));
  EXPECT_FALSE(Readable(*taker));
  raise(SIGTERM);
  EXPECT_TRUE(Readable(*taker));
  EXPECT_THAT(taker->Read(), ElementsAre(SIGTERM));
  EXPECT_FALSE(Readable(*taker));
  EXPECT_THAT(taker->Read(), IsEmpty());
}

TEST_F(SignalsTest, RepeatsAreCountedUpToThree) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2, SIGTERM}));
  raise(SIGTERM);
  raise(SIGUSR2);
  raise(SIGTERM);
  EXPECT_THAT(taker->Read(), ElementsAre(SIGUSR2, SIGTERM, SIGTERM));
  for (int i = 0; i < 10; ++i) raise(SIGTERM);
  EXPECT_THAT(taker->Read(), ElementsAre(SIGTERM, SIGTERM, SIGTERM));
  EXPECT_THAT(taker->Read(), IsEmpty());
}

TEST_F(SignalsTest, NoSignalIsFineToo) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({}));
  EXPECT_FALSE(Readable(*taker));
  EXPECT_THAT(taker->Read(), IsEmpty());
}

TEST_F(SignalsTest, ErrnoSurvivesTheHandler) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  errno = EBADF;
  raise(SIGUSR2);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(SignalsTest, ASlowCallThatIsInterruptedGoesOn) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer keeps signals back until read() returns";
#endif
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  OwnedFd reader(fds[0]), writer(fds[1]);
  pthread_t self = pthread_self();
  pid_t thread = gettid();
  std::thread other([&] {
    while (StateOf(thread) != 'S') sched_yield();
    pthread_kill(self, SIGUSR2);
    EXPECT_TRUE(Readable(*taker, 60000));  // the handler has run
    EXPECT_EQ(write(writer.get(), "x", 1), 1);
  });
  char byte;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
  other.join();
}

TEST_F(SignalsTest, ASignalThatWaitedWhileItWasBlockedIsTaken) {
  Block(SIGUSR2);
  raise(SIGUSR2);
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  EXPECT_FALSE(IsBlocked(SIGUSR2));
  EXPECT_THAT(taker->Read(), ElementsAre(SIGUSR2));
}

TEST_F(SignalsTest, OneThreadThatUnblocksIsEnough) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  Block(SIGUSR2);  // an embedder that blocks everything before it starts its threads
  kill(getpid(), SIGUSR2);
  EXPECT_FALSE(Readable(*taker));
  std::thread loop([&] {
    EXPECT_TRUE(IsBlocked(SIGUSR2));
    taker->UnblockHere();
    EXPECT_TRUE(Readable(*taker, 60000));
  });
  loop.join();
  EXPECT_THAT(taker->Read(), ElementsAre(SIGUSR2));
  Block(SIGUSR2, false);
}

TEST_F(SignalsTest, TwoTakersOfOneSignalAreBothTold) {
  ASSERT_OK_AND_MOVE(Taker one, SignalTaker::Take({SIGUSR2}));
  raise(SIGUSR2);
  ASSERT_OK_AND_MOVE(Taker two, SignalTaker::Take({SIGHUP, SIGUSR2}));
  EXPECT_THAT(two->Read(), IsEmpty()) << "what came before it is not its own";
  raise(SIGUSR2);
  EXPECT_THAT(one->Read(), ElementsAre(SIGUSR2, SIGUSR2));
  EXPECT_THAT(two->Read(), ElementsAre(SIGUSR2));
  one.reset();
  raise(SIGUSR2);
  EXPECT_THAT(two->Read(), ElementsAre(SIGUSR2));
}

TEST_F(SignalsTest, TheActionOfBeforeComesBackWithTheLastTaker) {
  signal(SIGUSR2, EmbedderHandler);
  embedder_calls = 0;
  ASSERT_OK_AND_MOVE(Taker one, SignalTaker::Take({SIGUSR2}));
  ASSERT_OK_AND_MOVE(Taker two, SignalTaker::Take({SIGUSR2}));
  raise(SIGUSR2);
  one.reset();
  raise(SIGUSR2);
  EXPECT_EQ(embedder_calls, 0);
  two.reset();
  raise(SIGUSR2);
  EXPECT_EQ(embedder_calls, 1);
  signal(SIGUSR2, SIG_DFL);
}

TEST_F(SignalsTest, AnActionThatWasInstalledMeanwhileStays) {
  embedder_calls = 0;
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  signal(SIGUSR2, EmbedderHandler);
  taker.reset();
  raise(SIGUSR2);
  EXPECT_EQ(embedder_calls, 1);
  signal(SIGUSR2, SIG_DFL);
}

TEST_F(SignalsTest, AForkedChildsSignalsAreItsOwn) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  EXPECT_EQ(InFork([&] {
              raise(SIGUSR2);
              return taker->Read() == std::vector<int>{SIGUSR2} ? 0 : 1;
            }),
            0);
  EXPECT_THAT(taker->Read(), IsEmpty());
}

TEST_F(SignalsTest, WhatCannotBeTakenIsRefusedByName) {
  const std::pair<int, const char*> cases[] = {
      {SIGKILL, "signal 9 (SIGKILL): nobody can catch it"},
      {SIGSTOP, "SIGSTOP"},
      {SIGSEGV, "signal 11 (SIGSEGV): it tells of a fault"},
      {SIGPIPE, "SIGPIPE"},
      {SIGCHLD, "the end of each child"},
      {32, "signal 32: the C library uses it"},
      {0, "signal 0: not from 1 to 64; take SIGUSR2"},
      {-1, "not from 1 to 64"},
      {65, "not from 1 to 64"},
  };
  for (auto [signal, reason] : cases) {
    EXPECT_STATUS(SignalTaker::Take({SIGUSR2, signal}), kInvalidArgument, reason);
  }
  EXPECT_STATUS(SignalTaker::Take({SIGHUP, SIGUSR2, SIGHUP}), kInvalidArgument,
                "signal 1 (SIGHUP): named twice");
  struct sigaction now;
  sigaction(SIGUSR2, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL) << "a failed Take() took something";
}

TEST_F(SignalsTest, EverySignalThatMayBeTakenCanBe) {
  std::vector<int> signals;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (CheckSignal(signal).ok()) signals.push_back(signal);
  }
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take(signals));
  for (int signal : signals) raise(signal);
  EXPECT_EQ(taker->Read(), signals);
  EXPECT_EQ(SignalText(SIGRTMIN + 2), "signal 36 (SIGRTMIN+2)");
}

TEST_F(SignalsTest, TakersAreLimitedAndTheirPlacesUsedAgain) {
  std::vector<Taker> takers;
  for (int i = 0; i < kSignalTakersMax; ++i) {
    ASSERT_OK_AND_MOVE(takers.emplace_back(), SignalTaker::Take({SIGUSR2}));
  }
  EXPECT_STATUS(SignalTaker::Take({SIGUSR2}), kResourceExhausted, "more than 16 takers");
  takers.pop_back();
  EXPECT_OK(SignalTaker::Take({SIGUSR2}));
}

TEST_F(SignalsTest, WithoutDescriptorsNothingIsTaken) {
  FaultySyscalls faulty({.kind = Syscall::kEventFd, .error = EMFILE});
  EXPECT_STATUS(SignalTaker::Take({SIGUSR2}, faulty), kResourceExhausted, "eventfd for signals");
}

TEST_F(SignalsTest, AnUntakenSignalIsDroppedAndUnblocked) {
  Block(SIGUSR2);
  kill(getpid(), SIGUSR2);
  UnblockUntaken(SIGUSR2);
  EXPECT_FALSE(IsBlocked(SIGUSR2));
  UnblockUntaken(0);
  UnblockUntaken(4711);
}

TEST_F(SignalsTest, ATakerOutlivesTheHandlerThatIsAboutToWake) {
  ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
  held_descriptor = taker->fd();
  std::thread interrupted([] { raise(SIGUSR2); });
  while (!somebody_is_held) sched_yield();
  std::atomic<bool> destroyed{false};
  std::thread destroyer([&] {
    taker.reset();
    destroyed = true;
  });
  // However long one looks: the number is not free for others before the handler has used it.
  for (int looks = 0; looks < 20; ++looks) {
    poll(nullptr, 0, 1);
    EXPECT_FALSE(destroyed);
  }
  held_descriptor = -1;
  interrupted.join();
  destroyer.join();
  EXPECT_TRUE(destroyed);
}

TEST_F(SignalsTest, TakersComeAndGoInAStormOfSignals) {
  ASSERT_OK_AND_MOVE(Taker keeper, SignalTaker::Take({SIGUSR2}));
  std::atomic<bool> stop{false};
  std::vector<std::thread> storm;
  storm.reserve(2);
  for (int i = 0; i < 2; ++i) {
    storm.emplace_back([&] {
      while (!stop.load()) raise(SIGUSR2);
    });
  }
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK_AND_MOVE(Taker taker, SignalTaker::Take({SIGUSR2}));
    EXPECT_TRUE(Readable(*taker, 60000));
  }
  stop = true;
  for (std::thread& thread : storm) thread.join();
  EXPECT_FALSE(keeper->Read().empty());
}

}  // namespace
}  // namespace zdd

// In place of the C library's, so that a handler can be held just before it writes.
extern "C" ssize_t write(int fd, const void* bytes, size_t size) {
  while (fd >= 0 && fd == zdd::held_descriptor.load()) zdd::somebody_is_held = true;
  return syscall(SYS_write, fd, bytes, size);
}
