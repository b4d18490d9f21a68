// What becomes of a set of listeners when the kernel says no: each system call fails once.
#include "zdd/service/listener_set.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tests/unit/drain/socket_pair.h"
#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/faulty_syscalls.h"
#include "zdd/service/callbacks.h"

namespace zdd {
namespace {

using ::testing::IsEmpty;

// What a predecessor sends.
struct Offer {
  std::vector<OfferedSocket> sockets;
  std::vector<OwnedFd> fds;
};

// A kernel that may stop telling in which network namespace a socket is.
class SecretiveSyscalls : public Syscalls {
 public:
  int GetSockOpt(int fd, int level, int option, void* value, socklen_t* size) override {
    if (!hides_namespace || option != kNetnsCookie)
      return Syscalls::GetSockOpt(fd, level, option, value, size);
    errno = ENOPROTOOPT;
    return -1;
  }
  bool hides_namespace = false;

 private:
  static constexpr int kNetnsCookie = 71;  // SO_NETNS_COOKIE
};

class ListenerSetTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  std::unique_ptr<ListenerSet> MakeSet(Syscalls& syscalls = Syscalls::Real()) {
    auto no_tickets = [](const std::string&) { return [](int) { return Ticket(); }; };
    return std::make_unique<ListenerSet>(loop_.shared(), &callbacks_, log_, no_tickets, syscalls);
  }
  static Offer OfferOf(const ListenerSet& set) {
    Offer offer;
    absl::StatusOr<std::vector<OfferedSocket>> sockets = set.Offer(&offer.fds);
    EXPECT_OK(sockets);
    offer.sockets = *std::move(sockets);
    return offer;
  }

  // Lets the n-th system call (of `kind`) of `act` fail, for each n until there is no n-th. `act`
  // takes down what it has made. How often it failed.
  int FailEach(const std::string& part, absl::FunctionRef<absl::Status(Syscalls&)> act,
               Syscall kind = Syscall::kAny) {
    int failed = 0;
    const size_t fds = OpenFds().size();
    const std::vector<std::string> files = dir_.List();
    for (int n = 1;; ++n) {
      FaultySyscalls faulty({.kind = kind, .nth = n, .error = ENOMEM});
      const absl::Status status = act(faulty);
      EXPECT_EQ(OpenFds().size(), fds) << "call " << n << ": " << status;
      EXPECT_EQ(dir_.List(), files) << "call " << n << ": " << status;
      if (!faulty.fired()) {
        EXPECT_OK(status);
        return failed;
      }
      if (status.ok()) continue;  // a fact that may be missing, a lock that is not to be had
      ++failed;
      EXPECT_STATUS(status, kResourceExhausted, "ENOMEM");
      EXPECT_STATUS(status, kResourceExhausted, part);
    }
  }

  FdAudit audit_;
  TempDir dir_;
  BorrowedLoop loop_;
  Callbacks callbacks_{loop_.get(), {}};
  const std::shared_ptr<EventLog> log_ = std::make_shared<EventLog>("test", [](const LogEvent&) {});
};

TEST_F(ListenerSetTest, AListenThatFailsLeavesNothingAndMayBeTriedAgain) {
  for (const std::string& address :
       {std::string("tcp://127.0.0.1:0"), std::string("tcp://[::1]:0"),
        std::string("udp://127.0.0.1:0"), "unix://" + dir_.File("x")}) {
    const int failed = FailEach("listener \"http\": ", [&](Syscalls& syscalls) {
      std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
      absl::Status status = set->Listen("http", address, {}).status();
      if (!status.ok()) {
        EXPECT_EQ(set->size(), 0);
        EXPECT_THAT(set->reports(), IsEmpty());
        EXPECT_THAT(dir_.List(), IsEmpty()) << status;
        EXPECT_OK(set->Listen("http", address, {}));
      }
      EXPECT_EQ(set->size(), 1);
      set->Unlink();
      return status;
    });
    EXPECT_GE(failed, 7) << address;  // socket, bind, and five facts
  }
}

TEST_F(ListenerSetTest, AnInheritedSocketThatCannotBeExaminedIsClosed) {
  std::unique_ptr<ListenerSet> predecessor = MakeSet();
  ASSERT_OK(predecessor->Listen("http", "tcp://127.0.0.1:0", {}));
  const int failed = FailEach("inherit listener \"http\": ", [&](Syscalls& syscalls) {
    Offer offer = OfferOf(*predecessor);
    std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
    return set->Inherit(offer.sockets[0], std::move(offer.fds[0]));
  });
  EXPECT_EQ(failed, 5);
}

TEST_F(ListenerSetTest, WhatIsNoSocketIsNotInherited) {
  OfferedSocket offered;
  offered.listener = "http";
  EXPECT_STATUS(MakeSet()->Inherit(offered, OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC))),
                kDataLoss, "inherit listener \"http\": examine fd");
  EXPECT_STATUS(MakeSet()->Inherit(
                    offered, OwnedFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))),
                kDataLoss, "inherit listener \"http\": examine fd");
}

TEST_F(ListenerSetTest, ANetworkNamespaceThatTheKernelDoesNotTellIsNoOtherOne) {
  std::unique_ptr<ListenerSet> predecessor = MakeSet();
  ASSERT_OK(predecessor->Listen("http", "tcp://127.0.0.1:0", {}));
  Offer offer = OfferOf(*predecessor);
  SecretiveSyscalls syscalls;
  std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
  ASSERT_OK(set->Inherit(offer.sockets[0], std::move(offer.fds[0])));
  syscalls.hides_namespace = true;
  EXPECT_OK(set->Listen("admin", "tcp://127.0.0.1:0", {}));
}

// What is claimed the predecessor does not serve any more.
TEST_F(ListenerSetTest, ASocketThatCannotBeAdoptedIsNotClaimed) {
  std::unique_ptr<ListenerSet> predecessor = MakeSet();
  ASSERT_OK_AND_MOVE(auto http, predecessor->Listen("http", "tcp://127.0.0.1:0", {}));
  const std::string address = http->address().ToString();
  const int failed = FailEach(
      "listener \"http\": adopt tcp://",
      [&](Syscalls& syscalls) {
        Offer offer = OfferOf(*predecessor);
        std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
        EXPECT_OK(set->Inherit(offer.sockets[0], std::move(offer.fds[0])));
        const absl::Status status = set->Listen("http", address, {}).status();
        EXPECT_EQ(set->size(), status.ok() ? 1 : 0);
        EXPECT_EQ(set->Claims().size(), status.ok() ? 1 : 0);
        return status;
      },
      Syscall::kListen);
  EXPECT_EQ(failed, 1);
}

TEST_F(ListenerSetTest, AnOfferThatFailsSaysWhichSocket) {
  const int failed = FailEach(
      "duplicate the socket of tcp://127.0.0.1:",
      [&](Syscalls& syscalls) {
        std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
        EXPECT_OK(set->Listen("a", "tcp://127.0.0.1:0", {}));
        EXPECT_OK(set->Listen("b", "tcp://127.0.0.1:0", {}));
        std::vector<OwnedFd> fds;
        return set->Offer(&fds).status();
      },
      Syscall::kDuplicate);
  EXPECT_EQ(failed, 2);
}

TEST_F(ListenerSetTest, SoDoesWhatASuccessorBoundItselfForItsPredecessor) {
  std::unique_ptr<ListenerSet> predecessor = MakeSet();
  ASSERT_OK(predecessor->Listen("http", "tcp://127.0.0.1:0", {}));
  const int failed = FailEach(
      "duplicate the socket of tcp://127.0.0.2:",
      [&](Syscalls& syscalls) {
        Offer offer = OfferOf(*predecessor);
        std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
        EXPECT_OK(set->Inherit(offer.sockets[0], std::move(offer.fds[0])));
        EXPECT_OK(set->Listen("http", "tcp://127.0.0.2:0", {}));
        EXPECT_EQ(set->reports()[0].fate, ListenerReport::Fate::kRebound);
        std::vector<OwnedFd> fds;
        return set->OwnForPeer(&fds).status();
      },
      Syscall::kDuplicate);
  EXPECT_EQ(failed, 1);
}

TEST_F(ListenerSetTest, WhatCannotBeBorrowedIsClosedAndChangesNothing) {
  std::unique_ptr<ListenerSet> successor = MakeSet();
  ASSERT_OK(successor->Listen("http", "tcp://127.0.0.1:0", {}));
  const int failed = FailEach("examine fd", [&](Syscalls& syscalls) {
    std::unique_ptr<ListenerSet> set = MakeSet(syscalls);
    if (!set->Listen("http", "tcp://127.0.0.1:0", {}).ok()) return absl::OkStatus();
    Offer offer = OfferOf(*successor);
    const absl::Status status = set->Borrow(offer.sockets[0], std::move(offer.fds[0]));
    EXPECT_EQ(set->FatesUnderSuccessor()[0].fate,
              status.ok() ? ListenerReport::Fate::kRebound : ListenerReport::Fate::kDropped);
    return status;
  });
  EXPECT_EQ(failed, 5);
}

// What is never taken up would hold back those behind it.
TEST_F(ListenerSetTest, ADeliveryThatAnExecutorDropsCountsAsTakenUp) {
  Callbacks dropping{loop_.get(), [](Task) {}};
  ListenerSet set(loop_.shared(), &dropping, log_,
                  [](const std::string&) { return [](int) { return Ticket(); }; });
  ASSERT_OK_AND_MOVE(std::shared_ptr<ListenerCore> http,
                     set.Listen("http", "tcp://127.0.0.1:0", {}));
  ASSERT_OK(http->OnConnection([](Connection) {}));
  bool taken = false;
  EXPECT_TRUE(http->Deliver(TcpPair().server, Ticket(), "", [&] { taken = true; }));
  EXPECT_TRUE(taken);
}

TEST_F(ListenerSetTest, ADeliveryThatNobodyWantsCountsAsTakenUp) {
  std::unique_ptr<ListenerSet> set = MakeSet();
  ASSERT_OK_AND_MOVE(std::shared_ptr<ListenerCore> http,
                     set->Listen("http", "tcp://127.0.0.1:0", {}));
  bool taken = false;
  EXPECT_FALSE(http->Deliver(TcpPair().server, Ticket(), "", [&] { taken = true; }));
  EXPECT_TRUE(taken);
}

}  // namespace
}  // namespace zdd
