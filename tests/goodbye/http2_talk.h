// A server's side of HTTP/2, as little as curl, h2load and gRPC's client need: each request is
// answered, after a while, by "generation N" in one gRPC message. It knows no HPACK: what it sends
// is static, and what it reads is of no interest to it.
#ifndef TESTS_GOODBYE_HTTP2_TALK_H_
#define TESTS_GOODBYE_HTTP2_TALK_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/time/time.h"
#include "tests/goodbye/talk.h"
#include "zdd/drain/http2_frames.h"
#include "zdd/drain/http2_goodbye.h"

namespace zdd {

class Http2Talk : public Talk {
 public:
  // Answers `answer_after` a request, so that requests are in hand when the goodbye comes.
  Http2Talk(int generation, absl::Duration answer_after);

  void OnAsk(Ask ask, Instant now) override { goodbye_.OnAsk(ask, now); }
  absl::Status OnBytes(absl::string_view in, Instant now) override;
  void OnTime(Instant now) override;
  Instant next() const override;
  std::string TakeBytes() override;
  bool busy() const override { return goodbye_.busy(); }
  bool done() const override { return goodbye_.done() && output_.empty(); }

 private:
  struct Answer {
    Instant due;
    uint32_t stream;
  };

  void OnFrame(const Http2Frame& frame, Instant now);
  std::string Response(uint32_t stream) const;

  const int generation_;
  const absl::Duration answer_after_;
  Http2Goodbye goodbye_;
  Http2FrameReader reader_;
  std::deque<Answer> answers_;
  std::string output_;
};

}  // namespace zdd

#endif  // TESTS_GOODBYE_HTTP2_TALK_H_
