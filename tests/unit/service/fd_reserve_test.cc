#include "zdd/service/fd_reserve.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <vector>

#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/free_fds.h"

namespace zdd {
namespace {

class FdReserveTest : public ::testing::Test {
 protected:
  FdReserveTest() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~FdReserveTest() override { setrlimit(RLIMIT_NOFILE, &before_); }

  // So that `count` are free.
  void LimitTo(int count) {
    rlimit limit = before_;
    limit.rlim_cur -= FreeFds() - count;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_EQ(FreeFds(), count);
  }

  // A client that never goes.
  bool TakeOne() {
    OwnedFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (fd.valid()) taken_.push_back(std::move(fd));
    return fd.valid() || FreeFds() > 0;
  }

  FdAudit audit_;
  rlimit before_;
  std::vector<OwnedFd> taken_;
  FdReserve reserve_;
};

TEST_F(FdReserveTest, WhatClientsLeaveIsThereForASpawnAndThenForAnOffer) {
  LimitTo(200);
  reserve_.Aim(3);
  EXPECT_EQ(reserve_.size(), 19);
  while (TakeOne()) {
  }
  EXPECT_EQ(FreeFds(), 0);
  reserve_.GiveForSpawn();
  EXPECT_EQ(FreeFds(), 8);
  reserve_.GiveAll();
  EXPECT_EQ(FreeFds(), 19);
  reserve_.Refill();
  EXPECT_EQ(reserve_.size(), 19);
}

TEST_F(FdReserveTest, ClientsKeepThreeQuartersOfAScarceLot) {
  LimitTo(20);
  reserve_.Aim(3);
  EXPECT_EQ(reserve_.size(), 5);
  reserve_.GiveForSpawn();
  EXPECT_EQ(reserve_.size(), 0);
}

TEST_F(FdReserveTest, WhatIsNotToBeHadComesWithTheNextRefill) {
  LimitTo(200);
  reserve_.Aim(0);
  reserve_.GiveAll();
  while (TakeOne()) {
  }
  reserve_.Refill();
  EXPECT_EQ(reserve_.size(), 0);
  taken_.clear();
  reserve_.Refill();
  EXPECT_EQ(reserve_.size(), 16);
}

TEST_F(FdReserveTest, OnlyAFailureForWantOfDescriptorsIsExplained) {
  const absl::Status full = absl::ResourceExhaustedError("fork: no more");
  EXPECT_EQ(FdReserve::Explain(full), full);
  EXPECT_OK(FdReserve::Explain(absl::OkStatus()));
  LimitTo(2);
  EXPECT_OK(FdReserve::Explain(absl::OkStatus()));
  EXPECT_STATUS(FdReserve::Explain(full), kResourceExhausted,
                "fork: no more; 2 descriptors are free, an upgrade needs 16: prlimit");
}

}  // namespace
}  // namespace zdd
