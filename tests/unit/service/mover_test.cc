#include "zdd/service/mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "zdd/drain/ticket_table.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// One generation, as its mover sees it.
class Host : public MoverHost {
 public:
  bool SendPair(OwnedFd theirs) override {
    ++pairs;
    return send_pair == nullptr || send_pair(std::move(theirs));
  }
  void OnMoved(Ticket ticket) override {
    ++moved;
    ticket.Reset();
  }
  void OnCameBack(Migrant migrant, bool again) override {
    came_back.push_back(std::move(migrant));
    may_go_again.push_back(again);
  }
  void OnRoom() override {}
  void OnMovingEnded() override { ++ended; }
  absl::Status CheckMigrant(const BatchItem& item) override {
    return reads == item.format ? absl::OkStatus() : absl::InvalidArgumentError(item.format);
  }
  void Adopt(std::vector<Migrant> batch, Task taken) override {
    for (Migrant& migrant : batch) adopted.push_back(std::move(migrant));
    not_taken.push_back(std::move(taken));
    if (takes) TakeUp();
  }
  void TakeUp() {
    for (Task& taken : std::exchange(not_taken, {})) taken();
  }

  std::function<bool(OwnedFd)> send_pair;
  std::string reads = "test/1";
  bool takes = true;
  int pairs = 0;
  int moved = 0;
  int ended = 0;
  std::vector<Migrant> came_back;
  std::vector<bool> may_go_again;
  std::vector<Migrant> adopted;
  std::vector<Task> not_taken;
};

class MoverTest : public ::testing::Test {
 protected:
  static constexpr int kOld = 1;
  static constexpr int kNew = 2;
  static constexpr int kFreeFds = 1000;

  static void SetUpTestSuite() { MakeFirstLoop(); }

  MoverTest() {
    old_host_.send_pair = [this](OwnedFd pair) {
      new_.Receive(kOld, std::move(pair));
      return true;
    };
  }
  ~MoverTest() override { loop_.Turn(); }

  void Begin() { old_.Begin(kNew, {{"http", "test/1"}}, kFreeFds); }

  Migrant Make(std::string listener = "http") {
    SocketPair pair = TcpPair();
    clients_.push_back(std::move(pair.client));
    Migrant migrant;
    migrant.ticket = table_->Enter(table_->Kind(listener), pair.server.get());
    migrant.fd = std::move(pair.server);
    migrant.listener = std::move(listener);
    migrant.state = absl::StrCat("state ", clients_.size());
    return migrant;
  }
  void AddMany(int count) {
    for (int i = 0; i < count; ++i) old_.Add(Make());
  }
  bool Await(const std::function<bool()>& condition) { return loop_.TurnUntil(condition); }

  FdAudit audit_;
  BorrowedLoop loop_;
  std::shared_ptr<TicketTable> table_ = TicketTable::Create();
  std::vector<OwnedFd> clients_;
  std::vector<std::string> told_;
  EventLog log_{"test", [this](const LogEvent& event) {
                  told_.push_back(absl::StrCat(event.name, " ", event.message));
                }};
  Host old_host_;
  Host new_host_;
  Mover new_{loop_.get(), &log_, &new_host_};
  Mover old_{loop_.get(), &log_, &old_host_};
};

TEST_F(MoverTest, ConnectionsMoveWithTheirStates) {
  Begin();
  EXPECT_TRUE(old_.moving());
  AddMany(20);
  EXPECT_EQ(old_.pending(), 20);
  EXPECT_TRUE(Await([&] { return old_host_.moved == 20; }));
  ASSERT_THAT(new_host_.adopted, SizeIs(20));
  EXPECT_EQ(new_host_.adopted[19].state, "state 20");
  EXPECT_EQ(new_host_.adopted[19].format, "test/1");
  EXPECT_EQ(old_.pending(), 0);
  EXPECT_THAT(old_host_.came_back, IsEmpty());
}

TEST_F(MoverTest, ABatchIsTakenUpAsAWhole) {
  new_host_.takes = false;
  Begin();
  AddMany(20);
  EXPECT_TRUE(Await([&] { return new_host_.adopted.size() == 20; }));
  EXPECT_THAT(new_host_.not_taken, SizeIs(2));
  AddMany(120);
  EXPECT_TRUE(Await([&] { return new_host_.adopted.size() > 64; }));
  new_host_.takes = true;
  new_host_.TakeUp();
  EXPECT_TRUE(Await([&] { return old_host_.moved == 140; }));
}

TEST_F(MoverTest, WhatIsGivenBeforeOrForAnotherListenerComesBack) {
  old_.Add(Make());
  EXPECT_THAT(old_host_.came_back, SizeIs(1));
  Begin();
  old_.Add(Make("admin"));
  EXPECT_THAT(old_host_.came_back, SizeIs(2));
}

TEST_F(MoverTest, WhatTheOtherDoesNotReadComesBack) {
  new_host_.reads = "test/2";
  Begin();
  AddMany(3);
  EXPECT_TRUE(Await([&] { return old_host_.came_back.size() == 3; }));
  EXPECT_EQ(old_host_.came_back[2].state, "state 3");
  EXPECT_EQ(old_host_.ended, 0) << "others may still move";
  EXPECT_THAT(old_host_.may_go_again, Each(false));
}

TEST_F(MoverTest, AfterRefuseWhatIsNotTakenUpStillBelongsToTheOther) {
  new_host_.takes = false;
  Begin();
  AddMany(120);  // more than wait to be taken up
  EXPECT_TRUE(Await([&] { return old_host_.moved > 64; }));
  new_.Refuse();
  EXPECT_TRUE(Await([&] { return old_host_.moved + old_host_.came_back.size() == 120; }));
  EXPECT_THAT(old_host_.came_back, Not(IsEmpty()));
  EXPECT_EQ(new_host_.adopted.size(), old_host_.moved);
  new_host_.TakeUp();
}

TEST_F(MoverTest, ADeadSuccessorEndsItAndTheRestComesBack) {
  OwnedFd pair;
  old_host_.send_pair = [&](OwnedFd theirs) {
    pair = std::move(theirs);  // nobody reads it
    return true;
  };
  Begin();
  AddMany(20);
  loop_.Turn();
  old_.OnGenerationDead(kNew);
  pair.Reset();
  EXPECT_TRUE(Await([&] { return old_host_.ended == 1; }));
  EXPECT_THAT(old_host_.came_back, SizeIs(20));
  EXPECT_THAT(old_host_.may_go_again, Each(false));
  EXPECT_FALSE(old_.moving());
  old_.Add(Make());
  EXPECT_THAT(old_host_.came_back, SizeIs(21));
}

TEST_F(MoverTest, ASuccessorThatIsGoneIsNotAskedTwice) {
  old_host_.send_pair = [](OwnedFd) { return false; };
  Begin();
  EXPECT_EQ(old_host_.ended, 1);
  EXPECT_FALSE(old_.moving());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("migration.ended no more connections move to "
                                           "generation 2 (0 have): the successor is gone")));
}

TEST_F(MoverTest, ASilentSuccessorGetsThreePairs) {
  std::vector<OwnedFd> pairs;
  old_host_.send_pair = [&](OwnedFd theirs) {
    pairs.push_back(std::move(theirs));  // nobody reads it
    return true;
  };
  Begin();
  for (int i = 1; i <= Mover::kPairsMax; ++i) {
    EXPECT_TRUE(Await([&] { return old_host_.pairs == i; }));
    old_.Add(Make());
  }
  EXPECT_TRUE(Await([&] { return old_host_.ended == 1; }));
  EXPECT_EQ(old_host_.pairs, Mover::kPairsMax);
  EXPECT_THAT(old_host_.may_go_again, ElementsAre(true, true, false));
  EXPECT_THAT(told_, Contains(HasSubstr("migration.paused")).Times(2));
}

TEST_F(MoverTest, AnotherSuccessorGetsThreePairsOfItsOwn) {
  for (int successor = kNew; successor < kNew + 5; ++successor) {
    old_.Begin(successor, {{"http", "test/1"}}, kFreeFds);
    old_.Add(Make());
    EXPECT_TRUE(Await([&] { return old_host_.moved == successor - 1; }));
    old_.OnGenerationDead(successor);
    EXPECT_TRUE(Await([&] { return !old_.moving(); }));
  }
  EXPECT_THAT(told_, Contains(HasSubstr("to generation 6 (1 have)")));
  EXPECT_EQ(old_host_.pairs, 5);
}

TEST_F(MoverTest, StoppedItEndsSoonAndNeverInsideTheCall) {
  Begin();
  old_.Stop("taken back");
  EXPECT_EQ(old_host_.ended, 0);
  EXPECT_TRUE(Await([&] { return old_host_.ended == 1; }));
  EXPECT_FALSE(old_.moving());
}

TEST_F(MoverTest, StoppedBetweenTwoPairsItEndsSoonAndMakesNoOther) {
  OwnedFd pair;
  old_host_.send_pair = [&](OwnedFd theirs) {
    pair = std::move(theirs);  // nobody reads it
    return true;
  };
  Begin();
  old_.Add(Make());
  EXPECT_TRUE(Await([&] { return !old_host_.came_back.empty(); }));
  EXPECT_TRUE(Await([&] { return told_.back().find("migration.paused") == 0; }));
  old_.Add(Make());  // asked before, and gives it only now
  EXPECT_THAT(old_host_.may_go_again, ElementsAre(true, true));
  old_.Stop("taken back");
  EXPECT_EQ(old_host_.ended, 0);
  EXPECT_TRUE(Await([&] { return old_host_.ended == 1; }));
  EXPECT_EQ(old_host_.pairs, 1);
  EXPECT_THAT(told_.back(), HasSubstr("taken back"));
}

TEST_F(MoverTest, GarbageEndsThatPairOnly) {
  FdChannel::Ends ends = FdChannel::Pair().value();
  new_.Receive(kOld, std::move(ends.theirs).Release());
  EXPECT_EQ(ends.ours.Send("garbage").kind, SendResult::kSent);
  EXPECT_TRUE(Await([&] { return !told_.empty(); }));
  EXPECT_THAT(told_[0], HasSubstr("migration.garbage from generation 1: "));
  Begin();
  AddMany(1);
  EXPECT_TRUE(Await([&] { return old_host_.moved == 1; }));
}

TEST_F(MoverTest, WhatIsNoPairIsTold) {
  new_.Receive(kOld, TcpPair().server);
  EXPECT_THAT(told_, ElementsAre(HasSubstr("migration.garbage from generation 1: ")));
}

}  // namespace
}  // namespace zdd
