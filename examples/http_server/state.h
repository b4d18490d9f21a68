// State is one connection between two steps: all that its server knows of it. It goes to the
// successor as a string in the format "http/1":
//
//   netstrings (https://cr.yp.to/proto/netstrings.txt), one for each field in the order of
//   EachField() in state.cc; numbers in decimal, flags as 0 and 1, enums by their number.
//
//   std::string bytes = Save(state);
//   absl::optional<State> same = Load(bytes);
//
// Whoever changes the fields writes "http/2" and, for as long as a predecessor may write "http/1",
// reads both (ListenOptions::migration_reads).
//
// Threads: a value. Errors: nothing, if the bytes are not what Save() makes.
#ifndef EXAMPLES_HTTP_SERVER_STATE_H_
#define EXAMPLES_HTTP_SERVER_STATE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "examples/http_server/body_digest.h"
#include "examples/http_server/body_framing.h"
#include "examples/http_server/request_head.h"

namespace example {

constexpr absl::string_view kStateFormat = "http/1";

struct State {
  enum class Phase {
    kHead,    // waits for a whole head
    kBody,    // waits for the rest of the body
    kDelay,   // waits before it answers
    kLines,   // answers line by line
    kTunnel,  // sends back what comes
    kEnd,     // when the output is sent, the connection ends
  };

  std::string input;   // received, not used yet
  std::string output;  // not sent yet; goes first
  Phase phase = Phase::kHead;

  // The request in hand. What the reply is follows from it.
  RequestHead request;
  BodyFraming framing;  // what is left of its body
  BodyDigest digest;    // of what has come
  bool last = false;    // its response ends the connection
  int64_t line = 0;     // kLines: the next one
  // kDelay, kLines: when it goes on, by CLOCK_MONOTONIC, which all processes of one boot share: so
  // no time is lost on the way.
  int64_t due_us = 0;
};

std::string Save(const State& state);
absl::optional<State> Load(absl::string_view bytes);

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_STATE_H_
