// Several orders that share a directory, as the processes of several generations do: one order for
// all of them, whoever leads, and nothing twice.
#include "examples/websocket_chat/order.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/util/temp_dir.h"

namespace chat {
namespace {

using Texts = std::vector<std::string>;

constexpr std::chrono::seconds kPatience(10);

class Listener : public Order::Member {
 public:
  void OnEntry(const Entry& entry) override {
    heard.push_back(absl::StrCat(entry.number, " ", entry.room, " ", entry.text));
  }
  Texts heard;
};

class OrderTest : public testing::Test {
 protected:
  std::unique_ptr<Order> Started() {
    auto order = std::make_unique<Order>(&io_, dir_.path());
    order->Start();
    RunUntil([&] { return order->ready(); });
    return order;
  }

  template <typename Predicate>
  void RunUntil(Predicate reached) {
    while (!reached()) ASSERT_GT(io_.run_one_for(kPatience), 0u) << "nothing more comes";
  }

  void AwaitHeard(const Listener& listener, size_t count) {
    RunUntil([&] { return listener.heard.size() >= count; });
  }

  zdd::TempDir dir_;
  boost::asio::io_context io_;
};

TEST_F(OrderTest, TheFirstOneLeadsAndNumbersByItself) {
  const auto order = Started();
  Listener listener;
  EXPECT_TRUE(order->Add(&listener, order->next()));
  order->Submit("kitchen", "hello");
  order->Submit("cellar", "boo");
  EXPECT_EQ(listener.heard, Texts({"1 kitchen hello", "2 cellar boo"}));
}

TEST_F(OrderTest, AllHearTheSameWhoeverSaidIt) {
  const auto leader = Started();
  const auto follower = Started();
  Listener first;
  Listener second;
  leader->Add(&first, leader->next());
  follower->Add(&second, follower->next());
  follower->Submit("kitchen", "a");
  leader->Submit("kitchen", "b");
  follower->Submit("kitchen", "c");
  AwaitHeard(first, 3);
  AwaitHeard(second, 3);
  EXPECT_EQ(first.heard, second.heard);
}

TEST_F(OrderTest, WhoArrivesHearsWhatWasSaidOnHisWayAndNothingTwice) {
  const auto leader = Started();
  const auto follower = Started();
  Listener witness;
  follower->Add(&witness, follower->next());
  Listener moved;
  leader->Add(&moved, leader->next());
  leader->Submit("kitchen", "a");
  leader->Remove(&moved);
  leader->Submit("kitchen", "b");
  AwaitHeard(witness, 2);
  EXPECT_TRUE(follower->Add(&moved, 2));
  leader->Submit("kitchen", "c");
  AwaitHeard(moved, 3);
  EXPECT_EQ(moved.heard, Texts({"1 kitchen a", "2 kitchen b", "3 kitchen c"}));
}

TEST_F(OrderTest, WhereTheLeaderEndsTheNextGoesOnWithHisNumbers) {
  auto leader = Started();
  const auto follower = Started();
  Listener listener;
  follower->Add(&listener, follower->next());
  leader->Submit("kitchen", "a");
  AwaitHeard(listener, 1);
  leader = nullptr;
  follower->Submit("kitchen", "b");
  AwaitHeard(listener, 2);
  EXPECT_EQ(listener.heard, Texts({"1 kitchen a", "2 kitchen b"}));
}

TEST_F(OrderTest, WhatIsNoLongerKeptIsNotPromised) {
  const auto order = Started();
  for (size_t i = 0; i < Order::kKeptMax + 1; ++i) order->Submit("kitchen", "a");
  Listener late;
  EXPECT_FALSE(order->Add(&late, 1));
  EXPECT_EQ(late.heard, Texts());
  EXPECT_TRUE(order->Add(&late, 2));
  EXPECT_EQ(late.heard.size(), Order::kKeptMax);
}

}  // namespace
}  // namespace chat
