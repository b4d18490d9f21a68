#include "zdd/migration/batch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/handoff/frame_limits.h"
#include "zdd/migration/sealed_state.h"

namespace zdd {
namespace {

const std::string kAllBytes = [] {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  return all;
}();

BatchItem Item(std::string state) {
  return MakeBatchItem("http", "h1", absl::Milliseconds(1500), state);
}

void ExpectSame(const MigrationFrame& frame, int fd_count) {
  absl::StatusOr<MigrationFrame> again = DecodeMigration(Encode(frame), fd_count);
  ASSERT_OK(again);
  EXPECT_EQ(*again, frame);
}

TEST(Batch, IsALineOfJsonAndTheStatesBehindIt) {
  EXPECT_EQ(Encode(BatchFrame{7, {Item("GET"), Item("")}}),
            R"({"type":"batch","no":7,"items":[)"
            R"({"listener":"http","format":"h1","age_ms":1500,"bytes":3},)"
            R"({"listener":"http","format":"h1","age_ms":1500,"bytes":0}]})"
            "\nGET");
  EXPECT_EQ(Encode(AckFrame{7, 0xffffffffffffffff, 1000}),
            R"({"type":"ack","no":7,"taken":"18446744073709551615","free_fds":1000})"
            "\n");
  EXPECT_EQ(Encode(RevokedFrame{}), "{\"type\":\"revoked\"}\n");
}

TEST(Batch, ComesBackAsItWas) {
  BatchItem large = Item(std::string(kInlineStateBytesMax + 1, 'x'));
  EXPECT_TRUE(large.in_memfd);
  EXPECT_EQ(large.state, "");
  EXPECT_EQ(FdsOf(large), 2);
  ExpectSame(BatchFrame{1, {Item(kAllBytes), large, Item("\n\n")}}, 4);
  BatchItem strange = Item("");
  strange.listener = kAllBytes.substr(0, 128);
  strange.format = kAllBytes.substr(128, 64);
  ExpectSame(BatchFrame{1, {strange}}, 1);
  ExpectSame(AckFrame{0x7fffffff, 5, 0}, 0);
  ExpectSame(RevokedFrame{}, 0);
}

TEST(Batch, CountsItsBytesRight) {
  std::vector<BatchItem> items;
  size_t bytes = kBatchOverheadBytes;
  for (int i = 0; i < kBatchItemsMax; ++i) {
    items.push_back(Item(std::string(static_cast<size_t>(i), '%')));
    items.back().listener = "\"\\\x01";
    bytes += BytesOf(items.back());
  }
  const size_t real = Encode(BatchFrame{0x7fffffff, items}).size();
  EXPECT_LE(real, bytes);
  EXPECT_GE(real, bytes - kBatchOverheadBytes);
}

TEST(Batch, TheLargestItemFitsIntoADatagram) {
  const BatchItem largest = MakeBatchItem(std::string(kListenerNameBytesMax, '\xff'),
                                          std::string(kFormatBytesMax, '\xff'), kTimeMax,
                                          std::string(kInlineStateBytesMax, '\xff'));
  EXPECT_OK(CheckBatchItem(largest));
  EXPECT_LE(kBatchOverheadBytes + BytesOf(largest), kChunkBytesMax);
  ExpectSame(BatchFrame{1, {largest}}, 1);
}

TEST(Batch, WhatCannotTravelIsRefusedWithNumbers) {
  BatchItem item = Item("");
  item.format = std::string(65, 'x');
  EXPECT_STATUS(CheckBatchItem(item), kInvalidArgument,
                "format is too long (65 bytes, at most 64)");
  item = Item("");
  item.listener = std::string(129, 'x');
  EXPECT_STATUS(CheckBatchItem(item), kInvalidArgument, "listener's name");
  EXPECT_OK(CheckBatchItem(Item(std::string(1048576, 'x'))));
  EXPECT_STATUS(CheckBatchItem(Item(std::string(1048577, 'x'))), kResourceExhausted,
                "state is too long (1048577 bytes, at most 1048576)");
}

void ExpectRefused(absl::string_view bytes, absl::string_view why, int fd_count = 1) {
  EXPECT_STATUS(DecodeMigration(bytes, fd_count), kDataLoss, std::string(why));
}

std::string BatchWith(absl::string_view item) {
  return absl::StrCat(R"({"type":"batch","no":1,"items":[)", item, "]}\n");
}

TEST(Batch, GarbageIsRefusedWithTheFieldAndWhatCame) {
  ExpectRefused("", "got 0 bytes without a line end, want a line of JSON");
  ExpectRefused("\n", "got no JSON, want a JSON object");
  ExpectRefused("[]\n", "got a list, want a JSON object");
  ExpectRefused("{}\n", "another \"type\"");
  ExpectRefused("{\"type\":\"hello\"}\n", "another \"type\"");
  ExpectRefused(std::string(kChunkBytesMax + 1, ' '), "got 49153 bytes, want at most 49152");
  ExpectRefused("{\"type\":\"batch\"}\n",
                "decode batch frame: field \"no\": got nothing, want a value");
  ExpectRefused("{\"type\":\"batch\",\"no\":0,\"items\":[]}\n", "field \"no\": got 0, want 1 to");
  ExpectRefused("{\"type\":\"batch\",\"no\":1,\"items\":[]}\n",
                "field \"items\": got 0 entries, want 1 to 64");
  ExpectRefused("{\"type\":\"batch\",\"no\":1,\"items\":{}}\n", "got an object, want a list");
  ExpectRefused(BatchWith("3"), "field \"items[0]\": got 3, want an object");
  const std::string texts = R"({"listener":"a","format":"b","age_ms":0)";
  ExpectRefused(BatchWith(texts + "}"), "field \"items[0].bytes\": got nothing");
  ExpectRefused(BatchWith(texts + R"(,"bytes":-1})"), "\"items[0].bytes\": got -1, want 0 to 8192");
  ExpectRefused(BatchWith(texts + R"(,"bytes":8193})"), "got 8193, want 0 to 8192");
  ExpectRefused(BatchWith(texts + R"(,"memfd":1048577})"), "got 1048577, want 1 to 1048576");
  ExpectRefused(BatchWith(texts + R"(,"memfd":0})"), "got 0, want 1 to 1048576");
  ExpectRefused(BatchWith(texts + R"(,"memfd":1,"bytes":1})"), "want one of both");
  ExpectRefused(BatchWith(texts + R"(,"bytes":18446744073709551615})"), "want 0 to 8192");
  ExpectRefused(BatchWith(texts + R"(,"bytes":4})") + "abc", "got 3 bytes of states, want 4");
  ExpectRefused(BatchWith(texts + R"(,"bytes":2})") + "abc", "got 3 bytes of states, want 2");
  ExpectRefused(BatchWith(R"({"listener":"%4"})"), "two hexadecimal digits behind each %");
  ExpectRefused(BatchWith(R"({"listener":)" + ("\"" + std::string(129, 'x') + "\"}")),
                "a text of at most 128 bytes");
  ExpectRefused(BatchWith(texts + R"(,"bytes":0})"), "got 2 descriptors, want 1", 2);
  ExpectRefused(BatchWith(texts + R"(,"memfd":9000})"), "got 1 descriptors, want 2", 1);
  ExpectRefused("{\"type\":\"ack\",\"no\":1,\"taken\":5,\"free_fds\":1}\n",
                "field \"taken\": got 5, want an unsigned 64-bit number as a text", 0);
  ExpectRefused("{\"type\":\"ack\",\"no\":1,\"taken\":\"5\",\"free_fds\":-1}\n",
                "field \"free_fds\": got -1", 0);
  ExpectRefused("{\"type\":\"ack\",\"no\":1,\"taken\":\"5\",\"free_fds\":1}\n",
                "got 1 descriptors, want 0", 1);
  ExpectRefused("{\"type\":\"ack\",\"no\":1,\"taken\":\"5\",\"free_fds\":1}\nx",
                "got 1 bytes behind the line", 0);
  ExpectRefused("{\"type\":\"revoked\"}\nx", "decode revoked frame: got 1 bytes", 0);
}

TEST(Batch, AFieldOfALaterVersionIsIgnored) {
  EXPECT_OK(DecodeMigration("{\"type\":\"revoked\",\"reason\":[1]}\n", 0));
}

// ---- States in memfds.

TEST(SealedState, ComesBackAsItWas) {
  FdAudit audit;
  for (size_t size : {size_t{1}, size_t{8193}, kMigrationStateBytesMax}) {
    std::string state(size, '\0');
    for (size_t i = 0; i < size; ++i) state[i] = static_cast<char>(i * 7);
    ASSERT_OK_AND_MOVE(OwnedFd memfd, SealState(state));
    ASSERT_OK_AND_MOVE(std::string read, ReadSealedState(memfd.get(), size));
    EXPECT_EQ(read, state);
    EXPECT_NE(ftruncate(memfd.get(), 0), 0);
    EXPECT_LT(pwrite(memfd.get(), "x", 1, 0), 0);
  }
}

TEST(SealedState, WhatAnotherCouldChangeIsNotRead) {
  FdAudit audit;
  OwnedFd memfd(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(memfd.get(), "abc", 3), 3);
  EXPECT_STATUS(ReadSealedState(memfd.get(), 3), kDataLoss, "it is in no sealed memfd (seals 0)");
  ASSERT_EQ(fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_STATUS(ReadSealedState(memfd.get(), 3), kDataLoss, "it is in no sealed memfd");
  ASSERT_EQ(fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_OK(ReadSealedState(memfd.get(), 3));
  EXPECT_STATUS(ReadSealedState(memfd.get(), 4), kDataLoss, "got 3 bytes, want 4");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  EXPECT_STATUS(ReadSealedState(reader.get(), 3), kDataLoss, "no sealed memfd (seals -1)");
}

TEST(SealedState, WithoutDescriptorsThereIsNone) {
  FdAudit audit;
  FaultySyscalls faulty({.kind = Syscall::kMemfdCreate, .error = EMFILE});
  EXPECT_STATUS(SealState("x", faulty), kResourceExhausted, "memfd_create state");
}

}  // namespace
}  // namespace zdd
