#include "zdd/base/status.h"

#include <cerrno>

#include "gtest/gtest.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

TEST(StatusTest, AnErrnoIsNamedAfterTheOperationAndItsObject) {
  EXPECT_EQ(ErrnoStatus(EACCES, "bind tcp://0.0.0.0:80").message(),
            "bind tcp://0.0.0.0:80: Permission denied (EACCES)");
}

TEST(StatusTest, AnErrnoThatNobodyKnowsKeepsItsNumber) {
  EXPECT_STATUS(ErrnoStatus(4095, "open x"), kInternal, "open x: unknown error (4095)");
}

TEST(StatusTest, TheCodeIsWhatACallerWouldActOn) {
  EXPECT_EQ(ErrnoStatus(EINVAL, "x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrnoStatus(ENAMETOOLONG, "x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrnoStatus(ENOENT, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EADDRNOTAVAIL, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EPERM, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(EADDRINUSE, "x").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrnoStatus(EMFILE, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ETOOMANYREFS, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ECONNREFUSED, "x").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrnoStatus(ETIMEDOUT, "x").code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrnoStatus(ENOTSOCK, "x").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrnoStatus(ENOPROTOOPT, "x").code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ErrnoStatus(EIO, "x").code(), absl::StatusCode::kInternal);
}

TEST(StatusTest, NoErrnoBecomesOk) {
  for (int error = 1; error < 200; ++error) EXPECT_FALSE(ErrnoStatus(error, "x").ok()) << error;
}

TEST(StatusTest, APrefixKeepsTheCodeAndThePayloads) {
  absl::Status status = absl::NotFoundError("bind x");
  status.SetPayload("url", absl::Cord("payload"));
  absl::Status annotated = Annotate(status, "listener \"http\"");
  EXPECT_STATUS(annotated, kNotFound, "listener \"http\": bind x");
  ASSERT_TRUE(annotated.GetPayload("url").has_value());
  EXPECT_EQ(*annotated.GetPayload("url"), "payload");
}

TEST(StatusTest, OkStaysOk) { EXPECT_OK(Annotate(absl::OkStatus(), "listener \"http\"")); }

}  // namespace
}  // namespace zdd
