// Conversation is HTTP/1.1 on one connection, without the connection: bytes come in, bytes go out,
// and between any two calls all that it is can be saved and go on in another process.
//
//   Conversation conversation(State(), "v1");
//   conversation.OnInput("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   conversation.Go(now, /*closing=*/false);
//   std::string response = conversation.TakeOutput();      // "HTTP/1.1 200 OK\r\n..."
//   ...                                                    // when it is sent, or a part of it:
//   conversation.OnSent(/*unsent=*/"");
//   State state = conversation.Saved();                 // for the next process
//
// A client that does not read is not read from, and not much is held for it.
//
// Threads: one at a time. Lifetime: `version_label`, sent as X-Version, outlives it.
#ifndef EXAMPLES_HTTP_SERVER_CONVERSATION_H_
#define EXAMPLES_HTTP_SERVER_CONVERSATION_H_

#include <chrono>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "examples/http_server/routes.h"
#include "examples/http_server/state.h"

namespace example {

class Conversation {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Conversation(State state, absl::string_view version_label);

  void OnInput(absl::string_view bytes) { state_.input.append(bytes.data(), bytes.size()); }
  void OnInputEnd() { input_ended_ = true; }
  // Goes on as far as it can. A response that begins when `closing` is the last one.
  void Go(Time now, bool closing);

  // What is to be sent; none while some is being sent.
  std::string TakeOutput();
  // That has been sent, but for its end `unsent`.
  void OnSent(absl::string_view unsent);

  bool wants_input() const;
  absl::optional<Time> due() const;  // when it wants to Go() without any event
  bool idle() const;                 // nothing has begun
  bool over() const;                 // all is said
  bool input_ended() const { return input_ended_; }

  // All that there is to it. REQUIRES: nothing is being sent.
  State Saved() const;

 private:
  bool Step(bool closing);
  bool TakeHead();
  bool TakeBody(bool closing);
  bool OnRequest(bool closing);
  bool Respond(bool closing);
  bool AddLine();
  bool Echo();
  bool EndResponse();
  bool Refuse(int status);
  bool End();

  bool waits() const { return state_.phase == Phase::kDelay || state_.phase == Phase::kLines; }
  bool chunked() const { return state_.request.minor == 1; }
  bool head_only() const { return state_.request.method == "HEAD"; }
  void AddHead(int status, absl::string_view fields);

  using Phase = State::Phase;

  absl::string_view version_label_;
  State state_;
  Reply reply_;  // to the request in hand
  Time now_;
  Time due_;  // in kDelay and kLines
  bool sending_ = false;
  bool input_ended_ = false;
};

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_CONVERSATION_H_
