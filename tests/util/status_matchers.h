// What tests ask of an absl::Status. Macros, so that a failure shows the line and the message.
//
//   ASSERT_OK_AND_MOVE(OwnedFd fd, OpenIt());
//   EXPECT_OK(Close());
//   EXPECT_STATUS(Parse("x"), kInvalidArgument, "has no scheme");   // the code, a part of the
//   message
#ifndef TESTS_UTIL_STATUS_MATCHERS_H_
#define TESTS_UTIL_STATUS_MATCHERS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace zdd {

inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace zdd

#define EXPECT_OK(expression)                                 \
  do {                                                        \
    absl::Status zdd_status_ = ::zdd::StatusOf((expression)); \
    EXPECT_TRUE(zdd_status_.ok()) << zdd_status_;             \
  } while (false)

#define ASSERT_OK(expression)                                 \
  do {                                                        \
    absl::Status zdd_status_ = ::zdd::StatusOf((expression)); \
    ASSERT_TRUE(zdd_status_.ok()) << zdd_status_;             \
  } while (false)

#define EXPECT_STATUS(expression, code_name, part)                               \
  do {                                                                           \
    absl::Status zdd_status_ = ::zdd::StatusOf((expression));                    \
    EXPECT_EQ(zdd_status_.code(), absl::StatusCode::code_name) << zdd_status_;   \
    EXPECT_THAT(std::string(zdd_status_.message()), ::testing::HasSubstr(part)); \
  } while (false)

#define ZDD_CONCAT_(a, b) a##b
#define ZDD_CONCAT(a, b) ZDD_CONCAT_(a, b)
#define ASSERT_OK_AND_MOVE(declaration, expression) \
  ASSERT_OK_AND_MOVE_(ZDD_CONCAT(zdd_result_, __LINE__), declaration, expression)
#define ASSERT_OK_AND_MOVE_(result, declaration, expression) \
  auto result = (expression);                                \
  ASSERT_TRUE(result.ok()) << result.status();               \
  declaration = *std::move(result)

#endif  // TESTS_UTIL_STATUS_MATCHERS_H_
