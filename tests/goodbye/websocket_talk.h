// A server's side of a WebSocket connection: the handshake, then each message is sent back, behind
// the number of this generation.
#ifndef TESTS_GOODBYE_WEBSOCKET_TALK_H_
#define TESTS_GOODBYE_WEBSOCKET_TALK_H_

#include <string>

#include "tests/goodbye/talk.h"
#include "zdd/drain/websocket_goodbye.h"

namespace zdd {

class WebSocketTalk : public Talk {
 public:
  explicit WebSocketTalk(int generation);

  void OnAsk(Ask ask, Instant now) override;
  absl::Status OnBytes(absl::string_view in, Instant now) override;
  void OnTime(Instant now) override { goodbye_.OnTime(now); }
  Instant next() const override { return goodbye_.next(); }
  std::string TakeBytes() override;
  bool busy() const override { return false; }
  bool done() const override { return output_.empty() && goodbye_.done(); }

 private:
  void ShakeHands(absl::string_view* in);
  void AnswerFrames();

  const int generation_;
  WebSocketGoodbye goodbye_;
  bool open_ = false;  // hands were shaken
  Ask asked_ = Ask::kNone;
  std::string input_;
  std::string output_;
};

}  // namespace zdd

#endif  // TESTS_GOODBYE_WEBSOCKET_TALK_H_
