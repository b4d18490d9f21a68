// A process that comes to the control socket and lies: the owner serves on, says why, and hands
// over to an honest one later.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"
#include "tests/process/raw_peer.h"
#include "zdd/handoff/frames.h"

namespace zdd {
namespace {

// Comes to the control socket. What it says is said by the test, but the process that the owner
// sees, and may kill, is another one with the same descriptors.
class Impostor : public RawPeer {
 public:
  explicit Impostor(const Lineage& lineage) : Impostor(Visit(lineage)) {}
  ~Impostor() { kill(pid_, SIGKILL); }
  Impostor(const Impostor&) = delete;
  Impostor& operator=(const Impostor&) = delete;

  pid_t pid() const { return pid_; }

  void SayHello(const std::string& name = "test", int protocol = kProtocol, int free_fds = 1000) {
    HelloFrame hello;
    hello.protocols = {protocol};
    hello.name = name;
    hello.version = "impostor";
    hello.pid = getpid();
    hello.free_fds = free_fds;
    Send(hello);
  }
  // As an honest one does, up to here.
  void BePrepared(std::vector<std::string> claims) {
    SayHello();
    Await<OfferFrame>();
    PreparedFrame prepared;
    prepared.claims = std::move(claims);
    prepared.last = true;
    Send(prepared);
  }

 private:
  struct Visitor {
    OwnedFd connected;
    pid_t pid;
  };

  explicit Impostor(Visitor visitor) : RawPeer(std::move(visitor.connected)), pid_(visitor.pid) {}

  static Visitor Visit(const Lineage& lineage) {
    OwnedFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    OwnedFd connected(eventfd(0, EFD_CLOEXEC));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = lineage.dir().File("run/test.sock");
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const auto pid = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
    if (pid == 0) {
      const uint64_t ok =
          connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? 1 : 2;
      if (write(connected.get(), &ok, sizeof(ok)) != sizeof(ok)) _exit(1);
      for (;;) pause();
    }
    uint64_t ok = 0;
    EXPECT_EQ(read(connected.get(), &ok, sizeof(ok)), static_cast<ssize_t>(sizeof(ok)));
    EXPECT_EQ(ok, 1) << path;
    return {std::move(fd), pid};
  }

  const pid_t pid_;
};

class HostileTest : public ::testing::Test {
 protected:
  HostileTest()
      : lineage_({"listen http tcp://127.0.0.1:0", "standby_ms 500", "silence_ms 1000",
                  "deadline_ms 300"}) {
    owner_ = lineage_.StartFirst({"version v1", "ready_ms 1000"});
    LoadOptions options;
    options.address = lineage_.Address();
    options.groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200},
                      {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 200}};
    options.timeout = absl::Seconds(15);
    load_ = LoadClient::Start(options).value();
  }

  // The owner is still the one, and an honest successor gets through.
  void ExpectUnharmed() {
    lineage_.Script({"version v2"});
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (lineage_.AwaitUnlessEnded("phase.serving", lineage_.Start())) break;
    }
    EXPECT_TRUE(load_->AwaitVersion("v2", Lineage::kLong)) << lineage_.History();
    LoadReport report = load_->Stop();
    EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage_.History();
  }

  void ExpectRolledBack(const std::string& part) {
    TestEvent event = lineage_.Await("upgrade.rolled_back", owner_);
    EXPECT_TRUE(absl::StrContains(event.message, part)) << event.message;
  }

  Lineage lineage_;
  pid_t owner_ = 0;
  std::unique_ptr<LoadClient> load_;
};

TEST_F(HostileTest, GarbageAsTheFirstWordIsSentAway) {
  for (const char* garbage : {"x", "{}", "[1,2]", "{\"type\":\"serving\"}", "\xff\xfe"}) {
    Impostor impostor(lineage_);
    impostor.SendBytes(garbage);
    while (impostor.Receive().has_value()) {
    }
  }
  ExpectUnharmed();
}

TEST_F(HostileTest, ManySilentVisitorsDoNotKeepAnHonestOneOut) {
  std::vector<std::unique_ptr<Impostor>> impostors;
  for (int i = 0; i < 40; ++i) impostors.push_back(std::make_unique<Impostor>(lineage_));
  ExpectUnharmed();
}

TEST_F(HostileTest, ABombOfDescriptorsIsClosed) {
  const std::string path = lineage_.dir().File("bomb");
  OwnedFd bomb(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  Impostor impostor(lineage_);
  std::vector<int> fds(252, bomb.get());
  impostor.SendBytes("{\"type\":\"hello\"}", fds);
  while (impostor.Receive().has_value()) {
  }
  for (int i = 0; i < 5000 && lineage_.FdsTo(owner_, path) > 0; ++i) poll(nullptr, 0, 1);
  EXPECT_EQ(lineage_.FdsTo(owner_, path), 0);
  ExpectUnharmed();
}

TEST_F(HostileTest, AnotherServiceIsRefusedByName) {
  Impostor impostor(lineage_);
  impostor.SayHello("other");
  EXPECT_TRUE(
      absl::StrContains(impostor.Await<RefusedFrame>().reason, "service \"other\", want \"test\""));
  ExpectUnharmed();
}

TEST_F(HostileTest, AnotherProtocolIsRefused) {
  Impostor impostor(lineage_);
  impostor.SayHello("test", 99);
  EXPECT_TRUE(absl::StrContains(impostor.Await<RefusedFrame>().reason, "99"));
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoIsRefusedAnOfferAndStaysIsAborted) {
  Impostor impostor(lineage_);
  impostor.SayHello("test", kProtocol, /*free_fds=*/0);
  EXPECT_TRUE(absl::StrContains(impostor.Await<RefusedFrame>().reason, "can open 0 more files"));
  impostor.Await<AbortFrame>();
  ExpectRolledBack("can open 0 more files");
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoNeverGetsReadyIsAborted) {
  Impostor impostor(lineage_);
  impostor.SayHello();
  EXPECT_TRUE(absl::StrContains(impostor.Await<AbortFrame>().reason, "did not get ready"));
  ExpectRolledBack("options.ready_timeout");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoStealsTheTokenOwnsNothing) {
  Impostor impostor(lineage_);
  impostor.SayHello();
  impostor.Await<OfferFrame>();
  EXPECT_TRUE(impostor.StealToken());
  impostor.Send(ServingFrame{});
  ExpectRolledBack("");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, ServingWithoutTheTokenIsNotBelieved) {
  Impostor impostor(lineage_);
  impostor.BePrepared({"http"});
  impostor.Await<AcceptFrame>();
  impostor.Send(ServingFrame{});
  ExpectRolledBack("");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoClaimsNothingIsRolledBack) {
  Impostor impostor(lineage_);
  impostor.BePrepared({});
  ExpectRolledBack("serves none of the 1 listeners");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoClaimsMoreThanThereIsIsRolledBackAtOnce) {
  Impostor impostor(lineage_);
  impostor.SayHello();
  impostor.Await<OfferFrame>();
  PreparedFrame prepared;
  prepared.claims = {"http", "http"};  // and more to come
  impostor.Send(prepared);
  ExpectRolledBack("claims 2 listeners and sends 0 sockets, for 1 listeners of ours");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoAcceptsNothingAndFallsSilentIsOverruled) {
  Impostor impostor(lineage_);
  impostor.BePrepared({"http"});
  impostor.Await<AcceptFrame>();
  impostor.Send(AcceptingFrame{});
  ExpectRolledBack("nothing heard from");
  impostor.HangUp();
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoDoesNotEndAfterItsAbortIsKilled) {
  Impostor impostor(lineage_);
  impostor.SayHello();
  impostor.Await<AbortFrame>();
  lineage_.Await("phase.aborting", owner_);
  lineage_.Await("handoff.killed", owner_);
  lineage_.Await("phase.serving", owner_);
  EXPECT_EQ(lineage_.AwaitExit(impostor.pid()), -SIGKILL);
  ExpectUnharmed();
}

TEST_F(HostileTest, WhoHangsUpInTheMiddleIsForgotten) {
  Impostor impostor(lineage_);
  impostor.SayHello();
  impostor.Await<OfferFrame>();
  impostor.HangUp();
  ExpectRolledBack("closed the channel");
  ExpectUnharmed();
}

}  // namespace
}  // namespace zdd
