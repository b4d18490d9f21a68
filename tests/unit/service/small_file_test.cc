#include "zdd/service/small_file.h"

#include <sys/stat.h>

#include <fstream>

#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"

namespace zdd {
namespace {

class SmallFileTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;
};

TEST_F(SmallFileTest, NoMoreIsReadThanAskedFor) {
  std::ofstream(dir_.File("big")) << std::string(10000, 'x');
  EXPECT_EQ(ReadHead(dir_.File("big"), 5000)->size(), 5000u);
  EXPECT_EQ(ReadHead(dir_.File("big"), 20000)->size(), 10000u);
}

TEST_F(SmallFileTest, FilesWithoutASizeAreReadToTheirEnd) {
  EXPECT_GT(ReadHead("/proc/self/cmdline", 100000)->size(), 0u);
}

TEST_F(SmallFileTest, AFifoDoesNotBlock) {
  ASSERT_EQ(mkfifo(dir_.File("fifo").c_str(), 0600), 0);
  EXPECT_EQ(*ReadHead(dir_.File("fifo"), 10), "");
}

TEST_F(SmallFileTest, ErrorsNameTheFile) {
  EXPECT_STATUS(ReadHead(dir_.File("no"), 10), kNotFound, "open " + dir_.File("no"));
  EXPECT_STATUS(ReadHead(dir_.path(), 10), kInternal, "read " + dir_.path());
}

}  // namespace
}  // namespace zdd
