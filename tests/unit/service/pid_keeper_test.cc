#include "zdd/service/pid_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/util/fd_audit.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PidKeeperTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
  const std::string path_ = dir_.File("x.pid");
  std::vector<std::string> told_;
  EventLog log_{"test", [this](const LogEvent& event) {
                  told_.push_back(absl::StrCat(event.name, " ", event.message));
                }};
  PidKeeper keeper_{&log_, path_, 7};

  std::string Text() {
    std::ifstream in(path_);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void Write(const std::string& text) { std::ofstream(path_, std::ios::trunc) << text; }
};

TEST_F(PidKeeperTest, WhatIsRightIsLeftAlone) {
  keeper_.Own();
  keeper_.Look();
  EXPECT_EQ(Text(), "7\n");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(PidKeeperTest, ARemovedFileIsWrittenAgainEachTime) {
  keeper_.Own();
  for (int i = 1; i < 3; ++i) {
    unlink(path_.c_str());
    keeper_.Look();
    EXPECT_EQ(Text(), "7\n");
    keeper_.Look();
    EXPECT_EQ(told_.size(), i);
  }
  EXPECT_EQ(told_[0],
            absl::StrCat("pid_file.remade pid file ", path_, ": it was not there; written again"));
}

TEST_F(PidKeeperTest, AFileThatNamesAnotherIsWrittenAgainAndToldOnce) {
  keeper_.Own();
  for (int i = 0; i < 3; ++i) {
    Write("4121\n");
    keeper_.Look();
    EXPECT_EQ(Text(), "7\n");
  }
  EXPECT_THAT(told_, ElementsAre(HasSubstr("it named pid 4121; written again")));
}

TEST_F(PidKeeperTest, WhatIsNoPidFileIsLeftAlone) {
  for (const char* text : {"", "seven", "-4121", "7 8"}) {
    Write(text);
    keeper_.Look();
    EXPECT_EQ(Text(), text);
  }
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(PidKeeperTest, AFailureIsToldOnceWithWhatStandsThereAndMended) {
  Write("4121\n");
  FaultySyscalls full({.kind = Syscall::kRename, .nth = 1, .error = ENOSPC, .persistent = true});
  PidKeeper unlucky(&log_, path_, 7, full);
  unlucky.Own();
  unlucky.Look();
  unlucky.Look();
  ASSERT_EQ(told_.size(), 1);
  EXPECT_THAT(told_[0], HasSubstr("pid_file pid file: rename "));
  EXPECT_THAT(told_[0], HasSubstr("(ENOSPC); " + path_ + " names pid 4121 for now"));
  EXPECT_EQ(Text(), "4121\n");

  FaultySyscalls once({.kind = Syscall::kRename, .nth = 1, .error = ENOSPC});
  unlink(path_.c_str());
  PidKeeper lucky(&log_, path_, 7, once);
  lucky.Own();
  EXPECT_THAT(told_[1], HasSubstr("there is no " + path_ + " for now"));
  lucky.Look();
  EXPECT_EQ(Text(), "7\n");
  EXPECT_THAT(told_[2], HasSubstr("pid_file.remade"));
}

TEST_F(PidKeeperTest, TheLastOwnerRemovesIt) {
  keeper_.Own();
  keeper_.Remove();
  EXPECT_THAT(dir_.List(), IsEmpty());
}

TEST_F(PidKeeperTest, WithoutAPathItDoesNothing) {
  PidKeeper none(&log_, "", 7);
  none.Own();
  none.Look();
  none.Remove();
  EXPECT_THAT(told_, IsEmpty());
}

}  // namespace
}  // namespace zdd
