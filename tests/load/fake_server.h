// FakeServer answers on a loopback port as examples/http_server does, except for one fault. It is
// there to test LoadClient: each kind of misbehaviour must be seen, and named rightly.
//
//   FakeServer server(FakeServer::Fault::kCutInBody);
//   LoadClient::Start({.address = server.address(), ...});
//
// Threads: any; one of its own for each connection. Lifetime: the destructor cuts all connections
// and joins.
#ifndef TESTS_LOAD_FAKE_SERVER_H_
#define TESTS_LOAD_FAKE_SERVER_H_

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"

namespace zdd {

class FakeServer {
 public:
  enum class Fault {
    kNone,
    kSayClose,       // no fault: each answer says Connection: close
    kCloseIdle,      // no fault: closes after each answer, without a word
    kCloseOnAccept,  // closes a new connection at once
    kResetOnAccept,
    kCloseUnderRequest,  // closes when the second request of a connection has come
    kResetUnderRequest,
    kResetIdle,  // resets after each answer
    kCutInHead,
    kCutInBody,
    kResetInBody,
    kStall,       // never answers
    kGarbage,     // answers with what is no HTTP
    kStrayBytes,  // sends more than the answer
    kStatus503,
    kWrongText,       // each answer another
    kWrongHash,       // of an upload
    kAnswerEarly,     // answers an upload before it has come
    kSkipLine,        // of a stream
    kEndStreamEarly,  // in due form, but too soon
    kCutStream,
    kWrongEcho,
    kCutEcho,
  };

  explicit FakeServer(Fault fault = Fault::kNone);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& address() const { return address_; }
  void SetVersion(absl::string_view version);  // X-Version, "v1" at first
  void SetFault(Fault fault) { fault_.store(fault); }

 private:
  struct Connection {
    OwnedFd fd;
    std::thread thread;
  };
  struct Request;

  void Accept();
  void Serve(int fd);
  bool Answer(int fd, const Request& request);  // false: the connection is over
  bool AnswerText(int fd, absl::string_view text);
  bool AnswerUpload(int fd, const Request& request);
  bool AnswerStream(int fd, const Request& request);
  void AnswerEcho(int fd, const Request& request);
  bool SendText(int fd, absl::string_view status, absl::string_view text);
  std::string Head(absl::string_view status, absl::string_view fields) const;
  bool Has(Fault fault) const { return fault_.load() == fault; }

  OwnedFd listener_;
  OwnedFd stop_;  // readable at the end
  std::string address_;
  std::atomic<Fault> fault_;
  std::atomic<int> texts_{0};
  std::thread thread_;
  mutable Mutex mutex_;
  std::string version_ ABSL_GUARDED_BY(mutex_) = "v1";
  std::list<Connection> connections_ ABSL_GUARDED_BY(mutex_);  // those that have ended too
};

}  // namespace zdd

#endif  // TESTS_LOAD_FAKE_SERVER_H_
