#include "zdd/service/inherited_channels.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::pair<OwnedFd, OwnedFd> Pair(int type = SOCK_SEQPACKET) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, type, 0, fds), 0);  // open at exec, as in a child
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

class InheritedChannelsTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  std::pair<OwnedFd, OwnedFd> ends_ = Pair();
  uint64_t cookie_ = ChannelCookie(ends_.first.get()).value_or(0);

  ~InheritedChannelsTest() override { unsetenv(kChannelsVariable); }

  void Offer(const std::vector<ChannelEntry>& entries) { Offer(EncodeChannels(entries)); }
  void Offer(const std::string& value) { setenv(kChannelsVariable, value.c_str(), 1); }
  bool Absent(absl::string_view service) {
    auto channel = TakeInheritedChannel(service);
    return channel.ok() && !channel->has_value();
  }
};

TEST_F(InheritedChannelsTest, WhatIsEncodedIsParsed) {
  std::vector<ChannelEntry> entries = {{"hello", 3, 17, 12}, {"x.y-z_1", 4, UINT64_MAX, 0}};
  EXPECT_EQ(EncodeChannels(entries), "hello:3:17:12,x.y-z_1:4:18446744073709551615:0");
  EXPECT_EQ(*ParseChannels(EncodeChannels(entries)), entries);
  EXPECT_THAT(*ParseChannels(""), IsEmpty());
}

TEST_F(InheritedChannelsTest, OtherVersionsMaySayLessOrMore) {
  EXPECT_THAT(*ParseChannels("a:3:1"), ElementsAre(ChannelEntry{"a", 3, 1, 0}));
  EXPECT_THAT(*ParseChannels("a:3:1:12:new:newer"), ElementsAre(ChannelEntry{"a", 3, 1, 12}));
}

TEST_F(InheritedChannelsTest, GarbageIsRefusedWithItsPlaceAndReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"a", "too few fields"},
      {"a:3", "too few fields"},
      {"A:3:1", "has a 'A'"},
      {":3:1", "empty"},
      {"a:2:1", "the descriptor is no number from 3 on"},
      {"a:x:1", "the descriptor is no number"},
      {"a:99999999999:1", "the descriptor is no number"},
      {"a:3:0", "the cookie is no number from 1 on"},
      {"a:3:-1", "the cookie is no number"},
      {"a:3:99999999999999999999", "the cookie is no number"},
      {"a:3:1:x", "no such signal"},
      {"a:3:1:-1", "no such signal"},
      {"a:3:1:65", "no such signal"},
      {"a:3:1,a:4:2", "the service is there twice"},
      {"a:3:1,b:3:2", "the descriptor is there twice"},
  };
  for (auto [value, reason] : cases) {
    EXPECT_STATUS(ParseChannels(value), kInvalidArgument, reason);
    EXPECT_STATUS(ParseChannels(value), kInvalidArgument, "environment variable ZDD_CHANNELS");
  }
  std::string many;
  for (size_t i = 0; i <= kInheritedChannelsMax; ++i) {
    absl::StrAppend(&many, i ? "," : "", "s", i, ":", 3 + i, ":1");
  }
  EXPECT_STATUS(ParseChannels(many), kInvalidArgument, "more than 64 entries");
}

TEST_F(InheritedChannelsTest, TheChannelIsTakenOnceAndClosesAtExecThen) {
  Offer({{"hello", ends_.first.get(), cookie_, 12}});
  EXPECT_THAT(UntakenChannels(), ElementsAre("hello"));
  EXPECT_TRUE(Absent("other"));
  ASSERT_OK_AND_MOVE(auto channel, TakeInheritedChannel("hello"));
  ASSERT_TRUE(channel.has_value());
  EXPECT_EQ(channel->fd.get(), ends_.first.Release());
  EXPECT_EQ(channel->held_signal, 12);
  EXPECT_EQ(fcntl(channel->fd.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(Absent("hello"));
  EXPECT_THAT(UntakenChannels(), IsEmpty());
}

TEST_F(InheritedChannelsTest, WithoutTheVariableThereIsNone) {
  EXPECT_TRUE(Absent("hello"));
  Offer("");
  EXPECT_TRUE(Absent("hello"));
}

TEST_F(InheritedChannelsTest, ALeakedVariableDoesNoHarm) {
  OwnedFd file(open("/dev/null", O_RDONLY));
  std::pair<OwnedFd, OwnedFd> stream = Pair(SOCK_STREAM);
  OwnedFd tcp(socket(AF_INET, SOCK_STREAM, 0));
  int closed = fcntl(0, F_DUPFD, 900);
  close(closed);
  for (int fd : {file.get(), stream.first.get(), tcp.get(), closed, ends_.second.get()}) {
    Offer({{"hello", fd, cookie_, 0}});
    EXPECT_TRUE(Absent("hello")) << fd;
    EXPECT_THAT(UntakenChannels(), IsEmpty());
    EXPECT_EQ(fcntl(fd, F_GETFD), fd == closed ? -1 : 0) << "a stranger's descriptor was touched";
  }
}

TEST_F(InheritedChannelsTest, AnEmbedderThatClosesAllItInheritsHasNone) {
  Offer({{"hello", ends_.first.get(), cookie_, 0}});
  ends_.first.Reset();
  EXPECT_TRUE(Absent("hello"));
}

TEST_F(InheritedChannelsTest, AGarbledVariableIsAnError) {
  Offer("hello:3");
  EXPECT_STATUS(TakeInheritedChannel("hello"), kInvalidArgument, "ZDD_CHANNELS");
  EXPECT_THAT(UntakenChannels(), IsEmpty());
}

TEST_F(InheritedChannelsTest, OfManyThreadsOneGetsTheChannel) {
  Offer({{"hello", ends_.first.get(), cookie_, 0}});
  std::atomic<int> winners{0};
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto channel = TakeInheritedChannel("hello");
      if (channel.ok() && channel->has_value()) winners += (**channel).fd.Release() >= 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
}

TEST_F(InheritedChannelsTest, OnlySeqpacketSocketsHaveAChannelCookie) {
  EXPECT_STATUS(ChannelCookie(0), kFailedPrecondition, "getsockopt channel 0");
  EXPECT_STATUS(ChannelCookie(Pair(SOCK_STREAM).first.get()), kFailedPrecondition,
                "not a Unix SEQPACKET socket");
}

}  // namespace
}  // namespace zdd
