#include "zdd/service/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/service/inherited_channels.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::Key;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// Both ends of a channel.
struct Ends {
  OwnedFd ours, theirs;
  Ends() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return;
    ours = OwnedFd(fds[0]);
    theirs = OwnedFd(fds[1]);
  }
  // What the child said, or nothing when it is gone.
  std::string Heard() {
    theirs.Reset();
    char text[64];
    ssize_t size = recv(ours.get(), text, sizeof text, 0);
    return std::string(text, std::max<ssize_t>(size, 0));
  }
  void Tell() { EXPECT_EQ(send(ours.get(), "x", 1, 0), 1); }
};

class SpawnTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
  ProcessImage image_ = ProcessImage::Record();

  std::string report_path() { return dir_.File("report"); }

  SpawnRequest Request(std::vector<std::string> command) {
    SpawnRequest request;
    request.command = {SpawnedProgram(), report_path()};
    request.command.insert(request.command.end(), command.begin(), command.end());
    return request;
  }

  // Starts the program, waits for its end, and reads what it was given.
  SpawnedReport Report(const SpawnRequest& request) {
    absl::StatusOr<Child> child = Spawn(image_, request);
    EXPECT_OK(child);
    if (!child.ok()) return {};
    ExitInfo exit = WaitForEnd(*child);
    EXPECT_EQ(exit.kind, ExitInfo::kExited) << ToString(exit);
    return ReadReport(report_path());
  }

  // Like Report(), but in a process that `prepare` may spoil.
  SpawnedReport ReportFromFork(const SpawnRequest& request, const std::function<void()>& prepare) {
    EXPECT_EQ(InFork([&] {
                prepare();
                absl::StatusOr<Child> child = Spawn(image_, request);
                if (!child.ok()) {
                  absl::string_view why = child.status().message();
                  return write(2, why.data(), why.size()) < 0 ? 1 : 2;
                }
                return WaitForEnd(*child).code;
              }),
              0);
    return ReadReport(report_path());
  }
};

TEST_F(SpawnTest, TheChildGetsTheWordsThatItWasGiven) {
  SpawnedReport report = Report(Request({"exit", "0", "", "two words"}));
  EXPECT_THAT(report.argv,
              ElementsAre(SpawnedProgram(), report_path(), "exit", "0", "", "two words"));
}

TEST_F(SpawnTest, WithoutACommandTheWordsOfThisProcessAreUsed) {
  image_.argv = {SpawnedProgram(), report_path(), "exit", "0"};
  EXPECT_THAT(Report({}).argv, ElementsAre(SpawnedProgram(), report_path(), "exit", "0"));
}

TEST_F(SpawnTest, EnvironmentAndDirectoryAreThoseOfTheRecord) {
  image_.environment = {"ONE=1", "TWO="};
  image_.working_directory = dir_.path();
  SpawnedReport report = Report(Request({"exit", "0"}));
  EXPECT_THAT(report.environment, ElementsAre("ONE=1", "TWO="));
  EXPECT_EQ(report.directory, std::filesystem::canonical(dir_.path()));
  EXPECT_EQ(report.group, getpgrp());
}

TEST_F(SpawnTest, VariablesThatWouldLieAreLeftOut) {
  image_.environment = {"ZDD_CHANNELS=old:3:1:0", "LISTEN_FDS=2", "LISTEN_PID=7",
                        "LISTEN_FDNAMES=a", "LISTEN_FDSX=kept"};
  EXPECT_THAT(Report(Request({"exit", "0"})).environment, ElementsAre("LISTEN_FDSX=kept"));
}

TEST_F(SpawnTest, ASymlinkIsFollowedAnewAtEachSpawn) {
  for (const char* release : {"v1", "v2"}) {
    std::filesystem::create_directory(dir_.File(release));
    std::filesystem::copy_file(SpawnedProgram(), dir_.File(absl::StrCat(release, "/server")));
  }
  std::filesystem::create_symlink("v1", dir_.File("current"));
  image_.working_directory = dir_.path();
  image_.argv = {"./current/server", report_path(), "exit", "0"};
  EXPECT_EQ(Report({}).program, std::filesystem::canonical(dir_.File("v1/server")));
  std::filesystem::remove(dir_.File("current"));
  std::filesystem::create_symlink("v2", dir_.File("current"));
  EXPECT_EQ(Report({}).program, std::filesystem::canonical(dir_.File("v2/server")));
}

TEST_F(SpawnTest, NothingPassesButStdioAndChannels) {
  Ends ends;
  SpawnRequest request = Request({"exit", "0"});
  request.channels = {{"hello", ends.theirs.get(), 0}};
  SpawnedReport report = ReportFromFork(request, [] {
    for (int fd : {50, 99, 100, 250, 1000})
      dup2(open("/dev/zero", O_RDONLY), fd);  // stay open at exec
  });
  EXPECT_THAT(report.fds, UnorderedElementsAre(Key(0), Key(1), Key(2), Key(3)));
  EXPECT_THAT(report.fds[3], StartsWith("socket:"));
}

TEST_F(SpawnTest, AClosedOrPrivateStdioBecomesDevNull) {
  SpawnedReport report = ReportFromFork(Request({"exit", "0"}), [] {
    dup2(open("/dev/full", O_WRONLY), 2);
    fcntl(1, F_SETFD, FD_CLOEXEC);
    close(0);
  });
  EXPECT_EQ(report.fds[0], "/dev/null");
  EXPECT_EQ(report.fds[1], "/dev/null");
  EXPECT_EQ(report.fds[2], "/dev/full");
  EXPECT_EQ(report.fds.size(), 3u);
}

TEST_F(SpawnTest, AllOfStdioMayBeClosed) {
  Ends ends;
  SpawnRequest request = Request({"say_name", "hello"});
  request.channels = {{"hello", ends.theirs.get(), 0}};
  SpawnedReport report = ReportFromFork(request, [] {
    for (int fd : {0, 1, 2}) close(fd);
  });
  EXPECT_EQ(ends.Heard(), "hello");
  EXPECT_EQ(report.fds.size(), 4u);
}

TEST_F(SpawnTest, ChannelsThatOverlapTheirTargetsReachTheirServices) {
  const std::vector<std::string> services = {"a", "b", "c"};
  for (const std::string& speaker : services) {
    Ends ends[3];
    SpawnRequest request = Request({"say_name", speaker});
    // The child's 3, 4, 5 are our 5, 3, 4: copied one after the other, 5 would get a wrong one.
    const int here[] = {5, 3, 4};
    for (int i = 0; i < 3; ++i) request.channels.push_back({services[i], here[i], 0});
    ReportFromFork(request, [&] {
      int high[3];
      for (int i = 0; i < 3; ++i) high[i] = fcntl(ends[i].theirs.get(), F_DUPFD, 500);
      for (int i = 0; i < 3; ++i) dup2(high[i], here[i]);
    });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ends[i].Heard(), services[i] == speaker ? speaker : "");
  }
}

TEST_F(SpawnTest, ChannelsPassUnderALowLimitOfDescriptors) {
  Ends ends;
  SpawnRequest request = Request({"say_name", "hello"});
  request.channels = {{"hello", ends.theirs.get(), 0}};
  ReportFromFork(request, [] {
    rlimit low = {64, 64};
    setrlimit(RLIMIT_NOFILE, &low);
  });
  EXPECT_EQ(ends.Heard(), "hello");
}

TEST_F(SpawnTest, AChannelOfAServiceThatTheChildDoesNotKnowStays) {
  Ends ends;
  SpawnRequest request = Request({"say_name", "other"});
  request.channels = {{"hello", ends.theirs.get(), 0}};
  ASSERT_OK_AND_MOVE(Child child, Spawn(image_, request));
  EXPECT_EQ(WaitForEnd(child).code, 10);
}

TEST_F(SpawnTest, SignalsAreDefaultAndUnblockedWhateverTheyAreHere) {
  SpawnedReport report = ReportFromFork(Request({"exit", "0"}), [] {
    for (int signal : {SIGPIPE, SIGCHLD, SIGUSR1}) ::signal(signal, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);  // else the exit code is lost
    signal(SIGTERM, [](int) {});
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
  });
  EXPECT_EQ(report.blocked, 0u);
  EXPECT_EQ(report.ignored & ~(Bit(32) | Bit(33)), 0u);  // glibc's own
}

TEST_F(SpawnTest, WhatNohupIgnoresStaysIgnored) {
  SpawnedReport report = ReportFromFork(Request({"exit", "0"}), [] { signal(SIGHUP, SIG_IGN); });
  EXPECT_EQ(report.ignored & Bit(SIGHUP), Bit(SIGHUP));
  EXPECT_EQ(report.ignored & (Bit(SIGINT) | Bit(SIGQUIT)), 0u);
}

TEST_F(SpawnTest, OnlyUpgradeSignalsAreBlocked) {
  Ends one, two;
  SpawnRequest request = Request({"exit", "0"});
  request.channels = {{"one", one.theirs.get(), SIGUSR2}, {"two", two.theirs.get(), SIGHUP}};
  EXPECT_EQ(Report(request).blocked, Bit(SIGUSR2) | Bit(SIGHUP));
}

TEST_F(SpawnTest, AnUpgradeSignalBeforeTheHandlerIsNotLostAndKillsNobody) {
  Ends ends;
  SpawnRequest request = Request({"take_when_told", absl::StrCat(SIGUSR2)});
  request.channels = {{"hello", ends.theirs.get(), SIGUSR2}};
  ASSERT_OK_AND_MOVE(Child child, Spawn(image_, request));
  EXPECT_OK(Kill(child, SIGUSR2));  // certainly before it has taken it
  ends.Tell();
  EXPECT_EQ(ToString(WaitForEnd(child)), "exited with code 0");
}

TEST_F(SpawnTest, AVersionThatDoesNotTakeTheSignalSurvivesItToo) {
  Ends ends;
  SpawnRequest request = Request({"let_go_when_told"});
  request.channels = {{"hello", ends.theirs.get(), SIGUSR2}};
  ASSERT_OK_AND_MOVE(Child child, Spawn(image_, request));
  EXPECT_OK(Kill(child, SIGUSR2));
  ends.Tell();
  EXPECT_EQ(ToString(WaitForEnd(child)), "exited with code 0");
}

TEST_F(SpawnTest, ADeletedProgramIsStartedAgainOnlyIfThatIsAllowed) {
  std::string program = dir_.File("server");
  for (auto [argument, code] : {std::pair("allowed", 7), std::pair("refused", 20)}) {
    std::filesystem::copy_file(SpawnedProgram(), program);
    image_.argv = {program, report_path(), "respawn_deleted", argument};
    ASSERT_OK_AND_MOVE(Child child, Spawn(image_, {}));
    EXPECT_EQ(WaitForEnd(child).code, code);
  }
}

TEST_F(SpawnTest, AnotherProgramThatIsGoneIsNotReplacedByThisOne) {
  SpawnRequest request = Request({"exit", "0"});
  request.command[0] = dir_.File("nothing");
  request.allow_deleted_program = true;
  EXPECT_STATUS(Spawn(image_, request), kNotFound, "install it");
}

bool atfork_ran = false;

TEST_F(SpawnTest, ABigHeapIsNeitherCopiedNorToldOfAFork) {
  constexpr size_t kSize = size_t{1} << 30, kStep = size_t{2} << 20;  // huge pages: soon filled
  void* heap = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(heap, MAP_FAILED);
  madvise(heap, kSize, MADV_HUGEPAGE);
  auto faults_of_writing = [&] {
    rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < kSize; i += kStep) static_cast<volatile char*>(heap)[i] = 1;
    getrusage(RUSAGE_SELF, &after);
    return after.ru_minflt - before.ru_minflt;
  };
  EXPECT_GT(faults_of_writing(), 500);
  pthread_atfork([] { atfork_ran = true; }, nullptr, nullptr);
  ASSERT_OK_AND_MOVE(Child child, Spawn(image_, Request({"wait"})));
  EXPECT_LT(faults_of_writing(), 100);  // after a fork each page would be copied
  EXPECT_FALSE(atfork_ran);
  munmap(heap, kSize);
  EXPECT_OK(Kill(child));
  WaitForEnd(child);
}

TEST_F(SpawnTest, AsManyChannelsPassAsTheLimitSays) {
  std::vector<Ends> ends(kInheritedChannelsMax + 1);
  SpawnRequest request = Request({"say_name", absl::StrCat("s", kInheritedChannelsMax - 1)});
  for (size_t i = 0; i < kInheritedChannelsMax; ++i) {
    request.channels.push_back({absl::StrCat("s", i), ends[i].theirs.get(), 0});
  }
  Report(request);
  EXPECT_EQ(ends[kInheritedChannelsMax - 1].Heard(), absl::StrCat("s", kInheritedChannelsMax - 1));
  request.channels.push_back({"more", ends.back().theirs.get(), 0});
  EXPECT_STATUS(Spawn(image_, request), kInvalidArgument, "65 channels, at most 64");
}

}  // namespace
}  // namespace zdd
