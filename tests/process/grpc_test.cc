// examples/embed/grpc is replaced and stopped while channels call it: no call fails.
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tests/process/embedded_server.h"
#include "tests/util/free_address.h"
#include "zdd/base/mutex.h"

namespace zdd {
namespace {

std::string* program;

std::string TextOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// Messages of one stream, each answered before the next one is sent.
class Stream : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(grpc::GenericStub* stub, int messages, int pause_ms)
      : pause_ms_(pause_ms), left_(messages) {
    stub->PrepareBidiStreamingCall(&context_, "/hello/Stream", {}, this);
    StartWrite(&request_);
    StartRead(&answer_);
    StartCall();
  }
  // What the stream's answers said, all the same; else why not.
  std::string Result() { return result_.get_future().get(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    const std::string text = TextOf(answer_);
    text_ = text_.empty() || text == text_ ? text : "another answer";
    if (--left_ == 0) return StartWritesDone();
    poll(nullptr, 0, pause_ms_);
    StartWrite(&request_);
    StartRead(&answer_);
  }
  void OnDone(const grpc::Status& status) override {
    const bool whole = status.ok() && left_ == 0;
    result_.set_value(whole ? text_ : absl::StrCat("failed: ", status.error_message()));
  }

  const int pause_ms_;
  int left_;
  grpc::ClientContext context_;
  const grpc::Slice hello_{"hello"};
  const grpc::ByteBuffer request_{&hello_, 1};
  grpc::ByteBuffer answer_;
  std::string text_;
  std::promise<std::string> result_;
};

// Calls on a channel of its own, one after the other.
class Caller {
 public:
  Caller(const std::string& target, int messages, int pause_ms) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    auto channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    thread_ = std::thread([this, channel, messages, pause_ms] {
      grpc::GenericStub stub(channel);
      while (!stop_) {
        std::string result = Stream(&stub, messages, pause_ms).Result();
        MutexLock lock(&mutex_);
        ++calls_;
        absl::string_view version = result;
        if (absl::ConsumePrefix(&version, "Hello from generation ")) {
          versions_.insert(std::string(version));
        } else {
          failures_.push_back(result);
        }
      }
    });
  }
  ~Caller() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  bool Heard(const std::string& version) {
    MutexLock lock(&mutex_);
    return versions_.count(version) > 0;
  }
  int calls() {
    MutexLock lock(&mutex_);
    return calls_;
  }
  std::string failures() {
    MutexLock lock(&mutex_);
    return absl::StrJoin(failures_, "\n");
  }

 private:
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  int calls_ = 0;
  std::set<std::string> versions_;
  std::vector<std::string> failures_;
  std::thread thread_;
};

TEST(GrpcTest, NoCallFailsOverFourGenerations) {
  const std::string address = FreeAddress().value();
  EmbeddedServer server(*program, {address, "1s"});
  pid_t owner = server.Start();
  server.Await("generation 1 is serving");
  const std::string target = absl::StrCat("ipv4:", absl::StripPrefix(address, "tcp://"));
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < 6; ++i) callers.push_back(std::make_unique<Caller>(target, 1, 0));
  for (int i = 0; i < 4; ++i) callers.push_back(std::make_unique<Caller>(target, 50, 10));
  for (int i = 2; i <= 4; ++i) {
    server.Signal(owner, SIGUSR2);
    server.Await(absl::StrCat("generation ", i, " is accepting"));
    const pid_t successor = server.ChildOf(owner);
    server.Await(absl::StrCat("generation ", i, " is serving"));
    EXPECT_EQ(server.AwaitExit(owner), 0) << server.log();
    owner = successor;
    const std::string version = absl::StrCat(i);
    for (auto& caller : callers) {
      for (int ms = 0; !caller->Heard(version) && ms < 10'000; ++ms) poll(nullptr, 0, 1);
      EXPECT_TRUE(caller->Heard(version)) << version;
    }
  }
  int calls = 0;
  for (auto& caller : callers) {
    caller->Stop();
    EXPECT_EQ(caller->failures(), "") << server.log();
    calls += caller->calls();
  }
  EXPECT_GT(calls, 500);
  server.Signal(owner, SIGTERM);
  EXPECT_EQ(server.AwaitExit(owner), 0) << server.log();
  server.AwaitNobody();
}

TEST(GrpcTest, ServesOnWhenItsSuccessorFails) {
  const std::string address = FreeAddress().value();
  EmbeddedServer server(*program, {address, "1s"});
  const pid_t first = server.Start();
  server.Await("generation 1 is serving");
  Caller caller(absl::StrCat("ipv4:", absl::StripPrefix(address, "tcp://")), 1, 1);
  server.Signal(first, SIGUSR2);
  server.Await("generation 1 is standby");
  server.Signal(server.ChildOf(first), SIGTERM);  // its wish to be rolled back
  server.Await("keeps serving");
  server.Await("generation 1 is serving");
  const int calls = caller.calls();
  while (caller.calls() < calls + 10) poll(nullptr, 0, 1);
  caller.Stop();
  EXPECT_EQ(caller.failures(), "") << server.log();
  EXPECT_FALSE(caller.Heard("3"));
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  zdd::program = new std::string(argv[1]);
  return RUN_ALL_TESTS();
}
