// The file of a Unix listener is removed: the listener gets its name back, and nobody who waits on
// the old socket is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/service/borrowed_loop.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/net/address.h"
#include "zdd/net/socket.h"
#include "zdd/service/callbacks.h"
#include "zdd/service/event_log.h"
#include "zdd/service/listener_set.h"
#include "zdd/service/service.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ListenerFilesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { MakeFirstLoop(); }

  ListenerFilesTest() {
    std::filesystem::create_directory(directory_);
    Listen("unix://" + file_);
  }

  void Listen(const std::string& address) {
    ListenOptions options;
    options.unix_mode = 0620;
    core_ = set_.Listen(absl::StrCat("web", set_.size()), address, std::move(options)).value();
    EXPECT_OK(core_->OnConnection([this](Connection) { ++accepted_; }));
  }

  void Accept() { set_.SetAccepts(Accepts::kAll, true); }

  // A new client; invalid if nobody is found there.
  OwnedFd Connect() {
    const Address address = Address::Parse("unix://" + file_).value();
    OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), address.sockaddr(), address.size()) != 0) fd.Reset();
    return fd;
  }
  void ExpectAccepted(int count) {
    EXPECT_TRUE(loop_.TurnUntil([&] { return accepted_ >= count; }));
    EXPECT_EQ(accepted_, count);
  }

  FdAudit audit_;
  TempDir dir_;
  const std::string directory_ = dir_.File("run");
  const std::string file_ = dir_.File("run/x.sock");
  std::vector<std::string> told_;
  BorrowedLoop loop_;
  Callbacks callbacks_{loop_.get(), {}};
  const std::shared_ptr<EventLog> log_ =
      std::make_shared<EventLog>("test", [this](const LogEvent& event) {
        told_.push_back(absl::StrCat(event.name, " ", event.message));
      });
  ListenerSet set_{loop_.shared(), &callbacks_, log_,
                   [](const std::string&) { return [](int) { return Ticket(); }; }};
  std::shared_ptr<ListenerCore> core_;
  int accepted_ = 0;
};

TEST_F(ListenerFilesTest, AFileThatIsThereIsLeftAlone) {
  set_.KeepFiles();
  EXPECT_EQ(core_->sockets().size(), 1);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ListenerFilesTest, ARemovedFileIsBoundAnewWhileItsOldQueueIsServed) {
  const OwnedFd waits = Connect();
  unlink(file_.c_str());
  EXPECT_FALSE(Connect().valid());
  set_.KeepFiles();
  EXPECT_THAT(told_, ElementsAre(absl::StrCat("listener.remade listener \"web0\": socket file ",
                                              file_, ": it was removed; bound anew")));
  const OwnedFd finds = Connect();
  EXPECT_TRUE(finds.valid());
  EXPECT_EQ(std::filesystem::status(file_).permissions(), std::filesystem::perms(0620));
  Accept();
  ExpectAccepted(2);
}

TEST_F(ListenerFilesTest, TheOldSocketIsClosedOnlyWhenItsQueueIsEmpty) {
  const OwnedFd waits = Connect();
  unlink(file_.c_str());
  set_.KeepFiles();
  set_.KeepFiles();
  EXPECT_EQ(core_->sockets().size(), 2) << "it was closed with a client in it";
  Accept();
  ExpectAccepted(1);
  set_.KeepFiles();
  EXPECT_EQ(core_->sockets().size(), 1);
  EXPECT_EQ(told_.size(), 1);
}

TEST_F(ListenerFilesTest, ItMayHappenAnyNumberOfTimes) {
  Accept();
  for (int i = 1; i < 200; ++i) {
    unlink(file_.c_str());
    set_.KeepFiles();
    const OwnedFd client = Connect();
    ASSERT_TRUE(client.valid());
    ExpectAccepted(i);
    ASSERT_LE(core_->sockets().size(), 2);
  }
  for (const ListenSocket& socket : core_->sockets()) EXPECT_LE(socket.index, 2);
}

TEST_F(ListenerFilesTest, ASuccessorInheritsTheNewOneAndNotTheOld) {
  const OwnedFd waits = Connect();
  unlink(file_.c_str());
  set_.KeepFiles();
  std::vector<OwnedFd> fds;
  ASSERT_OK_AND_MOVE(std::vector<OfferedSocket> offered, set_.Offer(&fds));
  ASSERT_EQ(offered.size(), 1);
  ASSERT_OK_AND_MOVE(SocketFile now, FindSocketFile(file_));
  EXPECT_EQ(offered[0].file->inode, now.inode);
  // What waits in the old queue the successor cannot see: it is accepted here to the end.
  set_.Claim({"web0"});
  set_.SetAccepts(Accepts::kUnclaimed, true);
  ExpectAccepted(1);
  const OwnedFd late = Connect();
  set_.Close(/*take_queued=*/true);
  ExpectAccepted(1);
}

TEST_F(ListenerFilesTest, WhoeverAnswersThereIsLeftAloneAndToldOnce) {
  unlink(file_.c_str());
  {
    ASSERT_OK_AND_MOVE(BoundSocket other,
                       BindSocket(Address::Parse("unix://" + file_).value(), {}));
    set_.KeepFiles();
    set_.KeepFiles();
    ASSERT_EQ(told_.size(), 1);
    EXPECT_THAT(told_[0], HasSubstr("listener.replaced listener \"web0\": socket file"));
    EXPECT_THAT(told_[0], HasSubstr("somebody listens there already"));
    EXPECT_TRUE(StillThere(*other.file));
  }
  set_.KeepFiles();
  EXPECT_THAT(told_[1], HasSubstr("on which nobody answers; bound anew"));
  EXPECT_TRUE(Connect().valid());
}

TEST_F(ListenerFilesTest, AFileThatIsNoSocketIsLeftAloneAndToldOnce) {
  unlink(file_.c_str());
  std::ofstream(file_) << "notes";
  set_.KeepFiles();
  set_.KeepFiles();
  ASSERT_EQ(told_.size(), 1);
  EXPECT_THAT(told_[0], HasSubstr("listener.replaced"));
  EXPECT_EQ(std::filesystem::file_size(file_), 5);
}

TEST_F(ListenerFilesTest, ARemovedDirectoryIsToldOnceAndUsedWhenItIsThereAgain) {
  std::filesystem::remove_all(directory_);
  set_.KeepFiles();
  set_.KeepFiles();
  ASSERT_EQ(told_.size(), 1);
  EXPECT_THAT(told_[0], HasSubstr("listener.lost"));
  EXPECT_THAT(told_[0], HasSubstr("mkdir -p " + directory_));
  std::filesystem::create_directory(directory_);
  set_.KeepFiles();
  ASSERT_EQ(told_.size(), 2);
  EXPECT_THAT(told_[1], HasSubstr("listener.remade"));
  EXPECT_TRUE(Connect().valid());
}

TEST_F(ListenerFilesTest, ARelativePathMayMeanAnotherPlaceByNow) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  Listen("unix:relative.sock");
  std::filesystem::current_path(before);
  set_.KeepFiles();
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_EQ(core_->sockets().size(), 1);
}

TEST_F(ListenerFilesTest, ASocketThatIsShutDownIsBoundAnew) {
  Accept();
  shutdown(core_->sockets()[0].fd.get(), SHUT_RDWR);
  EXPECT_TRUE(loop_.TurnUntil([&] { return Connect().valid(); }));
  EXPECT_THAT(told_, ElementsAre(HasSubstr("listener.shut_down")));
}

TEST_F(ListenerFilesTest, AnOldSocketThatIsShutDownIsDropped) {
  const OwnedFd waits = Connect();
  unlink(file_.c_str());
  set_.KeepFiles();
  shutdown(core_->sockets()[0].fd.get(), SHUT_RDWR);
  Accept();
  EXPECT_TRUE(loop_.TurnUntil([&] { return core_->sockets().size() == 1; }));
  EXPECT_TRUE(Connect().valid());
  EXPECT_EQ(told_.size(), 1);
}

}  // namespace
}  // namespace zdd
