// How the test server accepts and answers: HTTP/1.1 with its version, a thread for each connection.
//
//   std::thread(Serve, std::move(connection), "v1").detach();
//
// Threads: each of its own. Lifetime: acceptors outlive the service.
#ifndef TESTS_PROCESS_ANSWERING_H_
#define TESTS_PROCESS_ANSWERING_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "zdd/service.h"

namespace zdd {

// One connection, until it ends. A request for "/slow?ms=N" is answered so much later.
void Serve(Connection connection, std::string version);

// Accepts by itself, a thread for each socket.
class ThreadAcceptor : public Acceptor {
 public:
  ThreadAcceptor(Listener listener, std::string version)
      : listener_(listener), version_(std::move(version)) {}

  void Start(int socket, OwnedFd fd) override;
  void Stop(int socket, Task stopped) override;

 private:
  Listener listener_;
  const std::string version_;
  std::map<int, std::thread> threads_;
  std::map<int, std::shared_ptr<std::atomic<bool>>> stops_;
};

// Answers datagrams, a thread for each socket.
class EchoAcceptor : public Acceptor {
 public:
  explicit EchoAcceptor(std::string version) : version_(std::move(version)) {}

  void Start(int socket, OwnedFd fd) override;
  void Stop(int socket, Task stopped) override;

 private:
  void Answer(int fd) const;

  const std::string version_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace zdd

#endif  // TESTS_PROCESS_ANSWERING_H_
