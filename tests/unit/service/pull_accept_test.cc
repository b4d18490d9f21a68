#include "zdd/service/pull_accept.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

#include "absl/types/optional.h"
#include "tests/util/fd_audit.h"
#include "zdd/base/owned_fd.h"
#include "zdd/service/accept_mode.h"
#include "zdd/service/service.h"

namespace zdd {
namespace {

class PullAcceptTest : public ::testing::Test {
 protected:
  bool Deliver() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client_ = OwnedFd(ends[0]);
    Connection connection;
    connection.fd = OwnedFd(ends[1]);
    return pull_->Deliver(std::move(connection), [this] { ++taken_; });
  }
  bool ClientSeesTheEnd() {
    char byte;
    return recv(client_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  FdAudit audit_;
  OwnedFd client_;
  int taken_ = 0;
  std::unique_ptr<PullAccept> pull_ =
      PullAccept::Create({.on_ready = [] {}, .on_dead = [](int) {}, .on_exhausted = [](int) {}})
          .value();
};

TEST_F(PullAcceptTest, WhatWasDeliveredBeforeTheEndIsStillGiven) {
  EXPECT_TRUE(Deliver());
  pull_->End();
  EXPECT_TRUE(Deliver());
  EXPECT_TRUE(pull_->Accept().has_value());
  EXPECT_TRUE(pull_->Accept().has_value());
  EXPECT_EQ(taken_, 2);
  EXPECT_FALSE(pull_->Accept().has_value());
}

TEST_F(PullAcceptTest, WhatComesWhenItsServerWasToldOfTheEndIsClosed) {
  pull_->End();
  EXPECT_FALSE(pull_->Accept().has_value());
  EXPECT_FALSE(Deliver());
  EXPECT_EQ(taken_, 1);
  EXPECT_TRUE(ClientSeesTheEnd());
}

}  // namespace
}  // namespace zdd
