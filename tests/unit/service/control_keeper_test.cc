#include "zdd/service/control_keeper.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/util/fd_audit.h"
#include "tests/util/status_matchers.h"
#include "tests/util/temp_dir.h"
#include "zdd/base/mutex.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPeriod = absl::Milliseconds(5);

// What was logged, to be waited for.
class Heard {
 public:
  void Add(std::string text) {
    MutexLock lock(&mutex_);
    texts_.push_back(std::move(text));
    added_.SignalAll();
  }
  // The next one, in order.
  std::string Await() {
    MutexLock lock(&mutex_);
    while (next_ == texts_.size()) {
      if (!added_.WaitFor(&mutex_, absl::Minutes(1))) return "nothing";
    }
    return texts_[next_++];
  }
  bool Nothing() {
    MutexLock lock(&mutex_);
    return next_ == texts_.size();
  }

 private:
  Mutex mutex_;
  CondVar added_;
  std::vector<std::string> texts_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ControlKeeperTest : public ::testing::Test {
 protected:
  // libuv opens a pipe with the first loop, and keeps it.
  static void SetUpTestSuite() { Loop::Create(nullptr).value()->Close(); }

  FdAudit audit_;
  TempDir temp_;
  Heard heard_;
  EventLog log_{"hello", [this](const LogEvent& event) {
                  heard_.Add(absl::StrCat(event.name, " ", event.message));
                }};
  std::unique_ptr<Loop> loop_ = Loop::Create(nullptr).value();
  std::unique_ptr<ControlKeeper> keeper_;

  const std::string directory_ = temp_.File("run");
  const std::string file_ = temp_.File("run/hello.sock");

  ~ControlKeeperTest() override {
    loop_->Run([&] { keeper_.reset(); });
    loop_->Close();
  }

  RuntimeDir Dir() { return EnsureRuntimeDir(directory_).value(); }

  // An owner that looks every `period`.
  void Own(absl::Duration period = kPeriod) {
    loop_->Run([&] {
      auto on_visitor = [this](std::shared_ptr<Peer> peer, Frame first) {
        heard_.Add(absl::StrCat("visitor ", FrameName(first)));
        peer->Close();
      };
      keeper_ =
          std::make_unique<ControlKeeper>(loop_.get(), &log_, Dir(), "hello", on_visitor, period);
      keeper_->Hold(*std::move(JoinOrBindControl(keeper_->dir(), "hello")->bound));
      keeper_->Own();
      keeper_->SetKept(true);
    });
  }

  void SetKept(bool kept) {
    loop_->Run([&] { keeper_->SetKept(kept); });
  }

  // Until a timer that begins now, with the keeper's period, has fired so often.
  void AwaitPeriods(int count) {
    std::unique_ptr<Timer> timer;
    Heard periods;
    loop_->Run([&] {
      timer = std::make_unique<Timer>(loop_.get());
      timer->StartEvery(kPeriod, [&] { periods.Add("period"); });
    });
    for (int i = 0; i < count; ++i) periods.Await();
    loop_->Run([&] { timer.reset(); });
  }

  // A successor that is started by hand is heard.
  void ExpectAnswers() {
    RuntimeDir dir = Dir();
    ASSERT_OK_AND_MOVE(ControlConnection connection, ConnectControl(dir, "hello"));
    ASSERT_EQ(connection.answer, ControlConnection::kConnected);
    ASSERT_OK_AND_MOVE(FdChannel channel, FdChannel::Adopt(std::move(connection.fd)));
    EXPECT_EQ(channel.Send(Encode(AcceptFrame{})).kind, SendResult::kSent);
    EXPECT_EQ(heard_.Await(), "visitor accept");
  }

  ControlSocket BindAnother() {
    RuntimeDir dir = Dir();
    StartLock lock = *LockStart(dir, "hello");
    return *BindControl(dir, "hello", lock);
  }
};

TEST_F(ControlKeeperTest, ARemovedFileIsMadeAgain) {
  Own();
  unlink(file_.c_str());
  EXPECT_EQ(heard_.Await(),
            absl::StrCat("control.remade control socket ", file_, ": it was removed; made again"));
  ExpectAnswers();
  unlink(file_.c_str());
  EXPECT_THAT(heard_.Await(), HasSubstr("control.remade"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, ARemovedDirectoryIsMadeAgain) {
  Own();
  std::filesystem::remove_all(directory_);
  EXPECT_THAT(heard_.Await(), HasSubstr("its directory was removed; made again"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, ADirectoryThatAnotherStartHasMadeAgainIsUsed) {
  Own();
  SetKept(false);
  std::filesystem::remove_all(directory_);
  Dir();
  SetKept(true);
  EXPECT_THAT(heard_.Await(), HasSubstr("it was removed; made again"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, WhatAFailedStartLeftBehindIsReplaced) {
  Own();
  SetKept(false);
  unlink(file_.c_str());
  BindAnother();
  SetKept(true);
  EXPECT_THAT(heard_.Await(), HasSubstr("control.remade"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, WhoAnswersThereIsLeftAloneAndToldOnce) {
  Own();
  SetKept(false);
  unlink(file_.c_str());
  {
    ControlSocket other = BindAnother();
    SetKept(true);
    const std::string told = heard_.Await();
    EXPECT_THAT(told, HasSubstr("control.replaced"));
    EXPECT_THAT(told, HasSubstr(absl::StrCat("belongs to pid ", getpid(), " now")));
    AwaitPeriods(5);
    EXPECT_TRUE(heard_.Nothing());
    EXPECT_TRUE(StillThere(other.file));
  }
  EXPECT_THAT(heard_.Await(), HasSubstr("on which nobody answers; made again"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, AFileThatIsNoSocketIsLeftAloneAndToldOnce) {
  Own();
  SetKept(false);
  unlink(file_.c_str());
  std::ofstream(file_) << "notes";
  SetKept(true);
  EXPECT_THAT(heard_.Await(), HasSubstr("control.replaced"));
  AwaitPeriods(5);
  EXPECT_TRUE(heard_.Nothing());
  EXPECT_EQ(std::filesystem::file_size(file_), 5);
}

TEST_F(ControlKeeperTest, ADirectoryThatCannotBeMadeIsToldOnceAndTriedAgain) {
  const TempDir other;
  Own();
  std::filesystem::rename(temp_.path(), other.File("moved"));
  EXPECT_THAT(heard_.Await(), HasSubstr("control.lost mkdir runtime directory"));
  AwaitPeriods(5);
  EXPECT_TRUE(heard_.Nothing());
  std::filesystem::create_directory(temp_.path());
  EXPECT_THAT(heard_.Await(), HasSubstr("control.remade"));
  ExpectAnswers();
}

TEST_F(ControlKeeperTest, InAHandoffItStaysTheOneThatWasOffered) {
  Own();
  SetKept(false);
  unlink(file_.c_str());
  AwaitPeriods(5);
  EXPECT_TRUE(heard_.Nothing());
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(ControlKeeperTest, WhoBeginsToOwnLooksAtOnce) {
  Own(absl::InfiniteDuration());
  SetKept(false);
  unlink(file_.c_str());
  SetKept(true);
  EXPECT_FALSE(heard_.Nothing());
  EXPECT_TRUE(std::filesystem::exists(file_));
}

TEST_F(ControlKeeperTest, AnInheritedSocketIsKnownByItsFile) {
  RuntimeDir dir = Dir();
  ControlSocket bound = BindAnother();
  OfferedSocket offered;
  offered.file = FileIdentity{bound.file.device, bound.file.inode};
  loop_->Run([&] {
    keeper_ = std::make_unique<ControlKeeper>(loop_.get(), &log_, std::move(dir), "hello",
                                              ControlKeeper::OnVisitor{}, kPeriod);
    EXPECT_FALSE(keeper_->holds());
    keeper_->Inherit(offered, std::move(bound.fd));
    EXPECT_TRUE(keeper_->holds());
    keeper_->SetKept(true);
    EXPECT_TRUE(heard_.Nothing());
    OfferedSocket again;
    EXPECT_OK(keeper_->Offer(&again));
    EXPECT_EQ(again.file, offered.file);
    EXPECT_EQ(again.listener, kControlName);
    EXPECT_OK(keeper_->Unlink());
  });
  EXPECT_THAT(heard_.Await(), HasSubstr("control.remade"));
}

}  // namespace
}  // namespace zdd
