#include "zdd/service/check_listen_options.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

TEST(CheckListenOptions, DefaultsAndAFormatAreFine) {
  ListenOptions options;
  EXPECT_OK(CheckListenOptions("http", options));
  options.migration_format = "chat/2";
  options.migration_reads = {"chat/1"};
  EXPECT_OK(CheckListenOptions("http", options));
}

TEST(CheckListenOptions, ANameIsPrintableAndNotTooLong) {
  EXPECT_STATUS(CheckListenOptions("", {}), kInvalidArgument, "got 0 bytes, want 1 to 128");
  EXPECT_STATUS(CheckListenOptions(std::string(129, 'a'), {}), kInvalidArgument, "got 129 bytes");
  EXPECT_STATUS(CheckListenOptions("@control", {}), kInvalidArgument, "'@'");
}

TEST(CheckListenOptions, EachFieldIsNamedWithItsValue) {
  ListenOptions options;
  options.backlog = 0;
  EXPECT_STATUS(CheckListenOptions("http", options), kInvalidArgument, "backlog is 0");
  options = {};
  options.unix_mode = 01777;
  EXPECT_STATUS(CheckListenOptions("http", options), kInvalidArgument, "unix_mode is 1023");
}

TEST(CheckListenOptions, AFormatThatCouldNotBeToldToThePeerIsRefused) {
  for (const std::string& format :
       {std::string("chat 2"), std::string("chat\n"), std::string(65, 'a')}) {
    ListenOptions options;
    options.migration_format = format;
    EXPECT_STATUS(CheckListenOptions("chat", options), kInvalidArgument,
                  "migration_format has \"" + format);
    options.migration_format = "chat/2";
    options.migration_reads = {"chat/1", format};
    EXPECT_STATUS(CheckListenOptions("chat", options), kInvalidArgument,
                  "migration_reads has \"" + format);
  }
}

TEST(CheckListenOptions, WhatIsReadNeedsAFormatThatIsWritten) {
  ListenOptions options;
  options.migration_reads = {"chat/1"};
  EXPECT_STATUS(CheckListenOptions("chat", options), kInvalidArgument,
                "migration_reads without a migration_format");
  options.migration_format = "chat/2";
  options.migration_reads.assign(16, "chat/1");
  EXPECT_STATUS(CheckListenOptions("chat", options), kInvalidArgument,
                "has 16 formats, want 15 at most");
}

}  // namespace
}  // namespace zdd
