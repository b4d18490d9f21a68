// What the test server says on one connection, apart from its goodbye.
#ifndef TESTS_GOODBYE_TALK_H_
#define TESTS_GOODBYE_TALK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"

namespace zdd {

class Talk {
 public:
  virtual ~Talk() = default;
  virtual void OnAsk(Ask ask, Instant now) = 0;
  // What the client sent.
  virtual absl::Status OnBytes(absl::string_view in, Instant now) = 0;
  // Due at next().
  virtual void OnTime(Instant now) = 0;
  virtual Instant next() const = 0;

  // What is to be sent now.
  virtual std::string TakeBytes() = 0;
  // A request is in hand.
  virtual bool busy() const = 0;
  // To be closed, gently, when what was taken has been sent.
  virtual bool done() const = 0;
};

}  // namespace zdd

#endif  // TESTS_GOODBYE_TALK_H_
