// Sessions of examples/http_server that zdd asks to move, all the time, or to close: every byte
// arrives, in its order.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "examples/http_server/session.h"
#include "examples/http_server/state.h"
#include "examples/http_server/test_client.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace example {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr int kMovesMin = 10;
constexpr int kRoundsMax = 100;
constexpr absl::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr absl::string_view kText = "Hello from a server that never stops.\n";
constexpr absl::string_view kUpgrade =
    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";

// A server whose connections move to a successor that is this process too: what is given up goes on
// at once, with nothing but its descriptor and its state.
class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() { tables_.push_back(NewTable()); }
  ~HttpServerTest() override {
    pool_.stop();
    pool_.join();
    for (const auto& table : tables_) table->SetMigrateSink({});
  }

  Client NewClient() {
    auto [client, server] = Connect();
    fcntl(server.get(), F_SETFL, O_NONBLOCK);
    const int bytes = 16 << 10;
    setsockopt(server.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    Adopt(std::move(server), {});
    return Client(std::move(client));
  }

  // Runs `body` while connections move, as often as it takes until enough have.
  template <typename Body>
  void WhileAllMoves(Body body) {
    std::atomic<bool> ended{false};
    std::thread thread([&] {
      for (int round = 0; round < kRoundsMax && (round == 0 || moved_ <= kMovesMin); ++round)
        body();
      ended = true;
    });
    while (!ended) {
      MoveAll();
      usleep(2000);  // else they were asked again before they did anything
    }
    thread.join();
    EXPECT_GT(moved_, kMovesMin);
  }

  // Until nobody is left.
  void Drain(const zdd::DrainPlan& plan) {
    zdd::Drain drain(tables_.back());
    drain.Begin(plan, "test", zdd::MonotonicNow());
    const zdd::Instant deadline = zdd::MonotonicNow() + absl::Seconds(10);
    while (!drain.drained() && zdd::MonotonicNow() < deadline) {
      drain.Tick(zdd::MonotonicNow());
      usleep(1000);
    }
    EXPECT_TRUE(drain.drained());
    EXPECT_EQ(drain.report(zdd::MonotonicNow()).stragglers.size(), 0u);
  }

 private:
  struct Given {
    zdd::OwnedFd fd;
    zdd::Ticket ticket;
    std::string state;
  };

  std::shared_ptr<zdd::TicketTable> NewTable() {
    std::shared_ptr<zdd::TicketTable> table = zdd::TicketTable::Create();
    table->SetMigrateSink([this](zdd::Ticket ticket, zdd::OwnedFd fd, std::string state) {
      zdd::MutexLock lock(&mutex_);
      given_.push_back({std::move(fd), std::move(ticket), std::move(state)});
    });
    return table;
  }

  std::vector<Given> TakeGiven() {
    zdd::MutexLock lock(&mutex_);
    return std::exchange(given_, {});
  }

  void Adopt(zdd::OwnedFd fd, State state) {
    zdd::Ticket ticket = tables_.back()->Enter(tables_.back()->Kind("http"), fd.get());
    Socket socket(boost::asio::make_strand(pool_));
    socket.assign(Socket::protocol_type(AF_INET, 0), fd.Release());
    StartSession(std::move(socket), std::move(ticket), "v7", std::move(state));
  }

  // Each that is there moves once, except for those that are about to end.
  void MoveAll() {
    const std::shared_ptr<zdd::TicketTable> table = tables_.back();
    zdd::Drain drain(table);
    drain.Move(
        {"http"}, [] { return 0; }, zdd::MonotonicNow());
    tables_.push_back(NewTable());
    const zdd::Instant deadline = zdd::MonotonicNow() + absl::Seconds(2);
    do {
      drain.Tick(zdd::MonotonicNow());
      for (Given& given : TakeGiven()) {
        ++moved_;
        drain.Moved(std::move(given.ticket));
        absl::optional<State> state = Load(given.state);
        ASSERT_TRUE(state.has_value());
        Adopt(std::move(given.fd), *std::move(state));
      }
    } while (table->Count().total > 0 && zdd::MonotonicNow() < deadline);
    drain.EndMoving(zdd::MonotonicNow());
  }

  boost::asio::thread_pool pool_{2};
  std::vector<std::shared_ptr<zdd::TicketTable>> tables_;
  std::atomic<int> moved_{0};
  zdd::Mutex mutex_;
  std::vector<Given> given_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(HttpServerTest, MovesInTheMiddleOfHeadsAndBodies) {
  Client client = NewClient();
  WhileAllMoves([&] {
    for (char byte :
         absl::string_view("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")) {
      ASSERT_TRUE(client.Send({&byte, 1}));
      usleep(2000);
    }
    EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\n5\na430d84680aabd0b\n"));
  });
}

TEST_F(HttpServerTest, MovesWhileItWaitsAndBetweenPipelinedRequests) {
  Client client = NewClient();
  WhileAllMoves([&] {
    for (int i = 0; i < 20; ++i) {
      client.Send(absl::StrCat("GET /slow?ms=20 HTTP/1.1\r\nHost: a\r\n\r\n", kGet, "GET /ve"));
      EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nslow\n"));
      client.Send("rsion HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_THAT(client.ReadResponse(), EndsWith(kText));
      EXPECT_THAT(client.ReadResponse(), EndsWith(absl::StrCat("v7 ", getpid(), "\n")));
    }
  });
}

TEST_F(HttpServerTest, MovesBetweenTheLinesOfAStream) {
  Client client = NewClient();
  WhileAllMoves([&] {
    client.Send(absl::StrCat("GET /stream?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n", kGet));
    client.ReadUntil("\r\n\r\n");
    for (int i = 0; i < 30; ++i) {
      ASSERT_EQ(client.Read(14), absl::StrFormat("9\r\n%08d\n\r\n", i));
    }
    EXPECT_EQ(client.Read(5), "0\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), EndsWith(kText));
  });
}

TEST_F(HttpServerTest, MovesWithAResponseThatIsPartlySent) {
  Client client = NewClient();
  const int bytes = 64 << 10;
  setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  constexpr int kLines = 50'000;  // more than the kernel's buffers hold
  WhileAllMoves([&] {
    client.Send(absl::StrCat("GET /lines?n=", kLines, " HTTP/1.1\r\nHost: a\r\n\r\n", kGet));
    client.ReadUntil("\r\n\r\n");
    for (int i = 0; i < kLines; ++i) {
      if (i % 500 == 0) usleep(2000);
      ASSERT_EQ(client.Read(14), absl::StrFormat("9\r\n%08d\n\r\n", i));
    }
    EXPECT_EQ(client.Read(5), "0\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), EndsWith(kText));
  });
}

TEST_F(HttpServerTest, MovesTunnelsThatCarryBothDirectionsAtOnce) {
  Client client = NewClient();
  client.Send(kUpgrade);
  client.ReadUntil("\r\n\r\n");
  std::string sent;
  for (int i = 0; i < 1'000'000; ++i) absl::StrAppend(&sent, i, " ");
  WhileAllMoves([&] {
    std::thread sender([&] {
      EXPECT_TRUE(client.Send(sent));
      client.EndSending();
    });
    const std::string received = client.ReadToEnd();
    sender.join();
    EXPECT_TRUE(received == sent);
  });
}

// Whoever sets OnAsk() closes by himself.

TEST_F(HttpServerTest, ClosesIdleConnectionsAndLetsBusyOnesFinish) {
  Client idle = NewClient();
  idle.Send(kGet);
  idle.ReadResponse();
  Client busy = NewClient();
  busy.Send("GET /slow?ms=500 HTTP/1.1\r\nHost: a\r\n\r\n");
  usleep(100'000);
  zdd::DrainPlan plan;
  plan.spread = absl::ZeroDuration();
  plan.grace = absl::Milliseconds(50);
  std::thread clients([&] {
    EXPECT_EQ(idle.ReadToEnd(), "");
    idle.EndSending();
    EXPECT_THAT(busy.ReadToEnd(),
                AllOf(HasSubstr("\r\nConnection: close\r\n"), EndsWith("slow\n")));
    busy.EndSending();
  });
  Drain(plan);
  clients.join();
}

TEST_F(HttpServerTest, CutsWhoeverIsThereAtTheDeadline) {
  Client tunnel = NewClient();
  tunnel.Send(kUpgrade);
  tunnel.ReadUntil("\r\n\r\n");
  Client slow = NewClient();
  slow.Send("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  usleep(100'000);
  zdd::DrainPlan plan;
  plan.spread = plan.grace = plan.cut_spread = absl::ZeroDuration();
  plan.deadline = absl::Milliseconds(100);
  std::thread clients([&] {
    EXPECT_EQ(tunnel.ReadToEnd(), "");
    tunnel.EndSending();
    EXPECT_EQ(slow.ReadToEnd(), "");
    slow.EndSending();
  });
  Drain(plan);
  clients.join();
}

}  // namespace
}  // namespace example
