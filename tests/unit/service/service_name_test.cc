#include "zdd/service/service_name.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

TEST(ServiceNameTest, LettersDigitsAndThreeSignsAreFine) {
  EXPECT_OK(CheckServiceName("hello-2.api_v1"));
  EXPECT_OK(CheckServiceName(".."));  // it is never a whole file name
  EXPECT_OK(CheckServiceName(std::string(kServiceNameBytesMax, 'x')));
}

TEST(ServiceNameTest, WhatIsWrongIsSaid) {
  EXPECT_STATUS(CheckServiceName(""), kInvalidArgument, "service name \"\": empty");
  EXPECT_STATUS(CheckServiceName("a/b"), kInvalidArgument, "has a '/'");
  EXPECT_STATUS(CheckServiceName(std::string("a\0b", 3)), kInvalidArgument, "has a '\\x00'");
  EXPECT_STATUS(CheckServiceName(std::string(41, 'x')), kInvalidArgument, "too long, 41 bytes");
}

}  // namespace
}  // namespace zdd
