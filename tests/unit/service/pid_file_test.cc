#include "zdd/service/pid_file.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/forked_child.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PidFileTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
  std::string path_ = dir_.File("x.pid");

  std::string Text() {
    std::ifstream in(path_);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
};

TEST_F(PidFileTest, ItHoldsOneLineThatAllMayRead) {
  mode_t before = umask(0777);
  EXPECT_OK(WritePidFile(path_, 4121));
  umask(before);
  EXPECT_EQ(Text(), "4121\n");
  struct stat facts;
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0644u);
  EXPECT_THAT(dir_.List(), ElementsAre("x.pid"));
}

TEST_F(PidFileTest, ANewOwnerReplacesTheFileWhole) {
  EXPECT_OK(WritePidFile(path_, 123456));
  std::ifstream reader(path_);
  EXPECT_OK(WritePidFile(path_, 7));
  std::string old_text(std::istreambuf_iterator<char>(reader), {});
  EXPECT_EQ(old_text, "123456\n");  // who had it open still sees the old one, whole
  EXPECT_EQ(Text(), "7\n");
}

TEST_F(PidFileTest, ASymlinkInItsPlaceIsReplacedNotFollowed) {
  std::ofstream(dir_.File("victim")) << "precious";
  std::filesystem::create_symlink(dir_.File("victim"), path_);
  EXPECT_OK(WritePidFile(path_, 7));
  EXPECT_EQ(std::filesystem::file_size(dir_.File("victim")), 8u);
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
}

TEST_F(PidFileTest, OnlyTheOneThatItNamesRemovesIt) {
  EXPECT_OK(WritePidFile(path_, 7));
  EXPECT_OK(RemovePidFile(path_, 8));
  EXPECT_EQ(Text(), "7\n");
  EXPECT_OK(RemovePidFile(path_, 7));
  EXPECT_THAT(dir_.List(), IsEmpty());
  EXPECT_OK(RemovePidFile(path_, 7));
}

TEST_F(PidFileTest, AFileThatIsNoPidIsLeftAlone) {
  for (const char* text : {"", "7 8\n", "seven", "99999999999999999999999999999999999"}) {
    std::ofstream(path_, std::ios::trunc) << text;
    EXPECT_OK(RemovePidFile(path_, 7));
    EXPECT_EQ(Text(), text);
  }
}

TEST_F(PidFileTest, ErrorsNameThePath) {
  std::string below = dir_.File("no/x.pid");
  EXPECT_STATUS(WritePidFile(below, 7), kNotFound, "create " + below);
  std::filesystem::create_directory(path_);
  EXPECT_STATUS(WritePidFile(path_, 7), kInternal, " to " + path_);
  EXPECT_STATUS(RemovePidFile(path_, 7), kInternal, "read " + path_);
  EXPECT_THAT(dir_.List(), ElementsAre("x.pid"));
}

TEST_F(PidFileTest, WhatCannotBeWrittenIsSeenBeforeItHasToBe) {
  EXPECT_OK(CheckPidFile(path_));
  EXPECT_STATUS(CheckPidFile("x.pid"), kInvalidArgument, "want an absolute path");
  EXPECT_STATUS(CheckPidFile(dir_.path()), kInvalidArgument, "it is a directory");
  EXPECT_STATUS(CheckPidFile(dir_.File("no/x.pid")), kInvalidArgument,
                "(ENOENT); mkdir -p " + dir_.File("no"));
  EXPECT_OK(WritePidFile(path_, 7));
  EXPECT_OK(CheckPidFile(path_));
  EXPECT_STATUS(CheckPidFile(path_ + "/y"), kInvalidArgument, "(ENOTDIR)");
  EXPECT_THAT(dir_.List(), ElementsAre("x.pid"));
}

TEST_F(PidFileTest, ADirectoryThatIsClosedToUsIsSeenBeforeItMatters) {
  ASSERT_EQ(chmod(dir_.path().c_str(), 0500), 0);
  ForkedChild child([&] {
    // Root may do all, but for its capabilities.
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, none) != 0) return 1;
    const absl::Status status = CheckPidFile(path_);
    return absl::IsInvalidArgument(status) && absl::StrContains(status.message(), "(EACCES); uid ")
               ? 0
               : 2;
  });
  EXPECT_EQ(child.Wait(), 0);
  ASSERT_EQ(chmod(dir_.path().c_str(), 0700), 0);
}

TEST_F(PidFileTest, AFailedRenameLeavesTheOldFileAndNoOther) {
  EXPECT_OK(WritePidFile(path_, 7));
  FaultySyscalls faulty({.kind = Syscall::kRename, .error = EROFS});
  EXPECT_STATUS(WritePidFile(path_, 8, faulty), kPermissionDenied, "(EROFS)");
  EXPECT_EQ(Text(), "7\n");
  EXPECT_THAT(dir_.List(), ElementsAre("x.pid"));
}

TEST_F(PidFileTest, AFullDiskLeavesTheOldFileAndNoOther) {
  EXPECT_OK(WritePidFile(path_, 7));
  rlimit none = {0, RLIM_INFINITY}, before;
  getrlimit(RLIMIT_FSIZE, &before);
  none.rlim_max = before.rlim_max;
  auto handler = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &none);
  absl::Status written = WritePidFile(path_, 8);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_STATUS(written, kInternal, "(EFBIG)");
  EXPECT_EQ(Text(), "7\n");
  EXPECT_THAT(dir_.List(), ElementsAre("x.pid"));
}

}  // namespace
}  // namespace zdd
