// User is one client of the server: it asks, checks the answer, waits, and asks again, with one
// connection at most.
//
// A request begins when it is due, and ends in exactly one LoadOutcome. Before it writes on a
// connection that was idle, it looks whether the server has closed it: a clean close is no loss.
// What fails while nothing is asked (a reset, bytes that nobody asked for) counts as a request.
//
// Threads: that of its reactor. Lifetime: what `Surroundings` point to outlives it.
#ifndef TESTS_LOAD_USER_H_
#define TESTS_LOAD_USER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "tests/load/ending.h"
#include "tests/load/exchange.h"
#include "tests/load/options.h"
#include "tests/load/pacer.h"
#include "tests/load/reactor.h"
#include "tests/load/recorder.h"
#include "tests/load/response_parser.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/net/address.h"

namespace zdd {

class User : public Reactor::Handler {
 public:
  struct Surroundings {
    Reactor* reactor;
    Recorder* recorder;
    absl::Span<char> buffer;  // for receiving, shared by the users of one thread
    const Address* server;
    absl::Duration timeout;  // LoadOptions
  };

  // User number `number` of the options' group `group_index`.
  User(const LoadGroup& group, int group_index, int number, uint64_t seed,
       const Surroundings& around);

  void Start();
  // kIdle: the restart is over, ask now.
  void RestartOver();
  // Begins no more requests; the present one ends as it will. A connection kept for later is used
  // once more.
  void Stop();
  bool stopped() const { return state_ == State::kStopped; }

 private:
  enum class State {
    kResting,  // nothing is asked; there may be a connection
    kConnecting,
    kWaiting,  // kLate: connected, not asking yet
    kAsking,
    kStopped,
  };

  void OnReady(uint32_t events) override;
  void OnTimer() override;

  bool Due() const { return state_ == State::kResting && !stopping_ && due_ <= now_; }
  void BeginIfDue();
  void Begin();
  void Connect();
  void OnConnected();
  void Ask();
  void Send();
  void ArmTimer();
  bool MayReceive() const;
  void Receive();
  void Take(absl::string_view bytes);
  void TakeEvent(ResponseParser::Event event);
  void TakeTunnel(absl::string_view bytes);
  void OnEof();
  void OnReset(int error);
  void OnSurprise(Ending ending, absl::string_view detail);
  bool WrongIf(absl::string_view wrong);
  void End(Ending ending, absl::string_view detail);
  void Release();
  void Rest(Instant due);
  void Close();
  std::string Circumstances(absl::string_view detail) const;

  const LoadKind kind_;
  const absl::Duration delay_;
  const absl::Duration patience_;  // with one request
  const int group_;
  const Surroundings around_;
  const std::unique_ptr<Exchange> exchange_;
  Pacer pacer_;
  uint64_t seed_;

  State state_ = State::kResting;
  bool stopping_ = false;
  Instant now_;  // of the event that is being handled
  Instant due_;  // of the request that runs, or of the next one

  // The connection.
  OwnedFd fd_;
  ResponseParser parser_;
  int answers_ = 0;      // that it has given
  int send_error_ = 0;   // why nothing more can be sent on it
  std::string version_;  // of its last answer

  // The request.
  Instant asked_;  // since when its latency counts
  Instant deadline_;
  int marks_then_ = 0;
  bool head_came_ = false;
  int64_t answer_bytes_ = 0;
  absl::optional<Exchange::Piece> piece_;  // what is not sent of the present piece
  Instant piece_due_;
  Instant read_due_;  // kSlowReader: it reads nothing before
};

}  // namespace zdd

#endif  // TESTS_LOAD_USER_H_
