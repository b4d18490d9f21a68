#include "tests/load/exchange.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace zdd {
namespace {

constexpr absl::Duration kUploadStep = absl::Milliseconds(50);
constexpr uint64_t kUploadPieceBytes = 5000;
constexpr absl::Duration kStreamStep = absl::Milliseconds(10);  // of the server
constexpr absl::Duration kTunnelStep = absl::Milliseconds(20);
constexpr uint64_t kTunnelPieceBytes = 2000;
constexpr int kPipelinedMax = 6;        // requests at once
constexpr int kPipelinedLinesMax = 40;  // of one of them
constexpr int64_t kLineBytes = 14;      // of /lines, in its chunk

// splitmix64: good enough to make bytes that no shifted, swapped or repeated piece equals.
class Bytes {
 public:
  explicit Bytes(uint64_t seed) : state_(seed) {}

  uint64_t Word() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::string Take(size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
      const uint64_t word = Word();
      bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
    }
    bytes.resize(size);
    return bytes;
  }
  // From half of it to all of it.
  absl::Duration Length(absl::Duration most) {
    return most / 2 + most / 2 * (static_cast<double>(Word() >> 11) * 0x1p-53);
  }

 private:
  uint64_t state_;
};

std::string RequestHead(absl::string_view line, absl::string_view headers) {
  return absl::StrCat(line, " HTTP/1.1\r\nHost: zdd\r\n", headers, "\r\n");
}

std::string Unlike(absl::string_view what, absl::string_view found, absl::string_view wanted) {
  return absl::StrCat(what, " is \"", absl::CEscape(found.substr(0, 60)), "\", not \"",
                      absl::CEscape(wanted.substr(0, 60)), "\"");
}

// A request that goes out at once, and an answer that is HTTP.
class PlainExchange : public Exchange {
 public:
  absl::optional<Piece> Next() override {
    if (sent_) return absl::nullopt;
    sent_ = true;
    return Piece{request_, absl::ZeroDuration()};
  }
  bool complete() const override { return complete_; }

 protected:
  void Restart() { sent_ = complete_ = false; }
  std::string Complete() {
    complete_ = true;
    return "";
  }
  std::string request_;

 private:
  bool sent_ = false;
  bool complete_ = false;
};

// The body is some text, and the same each time.
class TextExchange : public PlainExchange {
 public:
  TextExchange(absl::string_view path, absl::string_view headers) {
    request_ = RequestHead(absl::StrCat("GET ", path), headers);
  }
  void Begin(uint64_t) override {
    Restart();
    body_.clear();
  }
  std::string OnBody(absl::string_view bytes) override {
    absl::StrAppend(&body_, bytes);
    return "";
  }
  std::string OnEnd() override {
    if (body_.empty()) return "the body is empty";
    if (known_.empty()) known_ = body_;
    return body_ == known_ ? Complete() : Unlike("the body", body_, known_);
  }

 private:
  std::string body_;
  std::string known_;  // from the first answer
};

// GET /slow?ms=N.
class SlowExchange : public TextExchange {
 public:
  explicit SlowExchange(absl::Duration length_max)
      : TextExchange("", ""), length_max_(length_max) {}
  void Begin(uint64_t seed) override {
    TextExchange::Begin(seed);
    length_ = absl::Floor(Bytes(seed).Length(length_max_), absl::Milliseconds(1));
    const int64_t ms = absl::ToInt64Milliseconds(length_);
    request_ = RequestHead(absl::StrCat("GET /slow?ms=", ms), "");
  }
  absl::Duration length() const override { return length_; }

 private:
  const absl::Duration length_max_;
  absl::Duration length_;
};

// What /stream and /lines answer: an eight-digit counter from 00000000, a line each.
class Lines {
 public:
  explicit Lines(int64_t wanted = 0) : wanted_(wanted) {}
  int64_t wanted() const { return wanted_; }

  std::string OnBody(absl::string_view bytes) {
    for (char c : bytes) {
      line_.push_back(c);
      if (c != '\n') continue;
      const std::string wanted = absl::StrFormat("%08d\n", lines_);
      if (line_ != wanted) return Unlike("a line of the stream", line_, wanted);
      ++lines_;
      line_.clear();
    }
    return line_.size() > 8 ? Unlike("a line of the stream", line_, "eight digits") : "";
  }
  std::string OnEnd() const {
    if (line_.empty() && lines_ == wanted_) return "";
    return absl::StrCat("the stream ended after ", lines_, " of ", wanted_, " lines");
  }

 private:
  int64_t wanted_;
  int64_t lines_ = 0;
  std::string line_;
};

// GET /stream?ms=N, a line each 10 ms; GET /lines?n=N, as fast as they are read.
class LinesExchange : public PlainExchange {
 public:
  // `step`: from one line to the next.
  LinesExchange(absl::string_view target, absl::Duration step, absl::Duration length_max)
      : target_(target), step_(step), length_max_(length_max) {}
  void Begin(uint64_t seed) override {
    Restart();
    const absl::Duration length = Bytes(seed).Length(length_max_);
    lines_ = Lines(absl::Floor(length, absl::Milliseconds(1)) / step_);
    const int64_t parameter =
        target_ == "/lines?n=" ? lines_.wanted() : absl::ToInt64Milliseconds(length);
    request_ = RequestHead(absl::StrCat("GET ", target_, parameter), "");
  }
  absl::Duration length() const override { return lines_.wanted() * step_; }
  std::string OnBody(absl::string_view bytes) override { return lines_.OnBody(bytes); }
  std::string OnEnd() override {
    std::string wrong = lines_.OnEnd();
    return wrong.empty() ? Complete() : wrong;
  }

 private:
  const std::string target_;
  const absl::Duration step_;
  const absl::Duration length_max_;
  Lines lines_;
};

// Several GET /lines?n=N, each with another N, as one row of bytes that is cut anywhere.
class PipelinedExchange : public Exchange {
 public:
  explicit PipelinedExchange(absl::Duration length_max) : length_max_(length_max) {}
  void Begin(uint64_t seed) override {
    random_ = Bytes(seed);
    length_ = random_.Length(length_max_);
    pieces_ = pieces_left_ = 2 + random_.Word() % kPipelinedMax;
    requests_.clear();
    answers_.clear();
    for (size_t i = 1 + random_.Word() % kPipelinedMax; i > 0; --i) {
      answers_.push_back(Lines(random_.Word() % kPipelinedLinesMax));
      requests_ += RequestHead(absl::StrCat("GET /lines?n=", answers_.back().wanted()), "");
    }
    sent_ = answered_ = 0;
  }
  absl::Duration length() const override { return length_; }
  absl::optional<Piece> Next() override {
    if (pieces_left_ == 0) return absl::nullopt;
    --pieces_left_;
    const size_t left = requests_.size() - sent_;
    const size_t size = pieces_left_ == 0 ? left : random_.Word() % (left + 1);
    const Piece piece = {absl::string_view(requests_).substr(sent_, size), length_ / pieces_};
    sent_ += size;
    return piece;
  }
  // The last one that is answered: what was sent behind it is to be sent again elsewhere.
  std::string OnHead(const ResponseHead& head) override {
    if (head.close) answers_.resize(answered_ + 1);
    return Exchange::OnHead(head);
  }
  std::string OnBody(absl::string_view bytes) override { return answers_[answered_].OnBody(bytes); }
  std::string OnEnd() override { return answers_[answered_++].OnEnd(); }
  bool complete() const override { return answered_ == answers_.size(); }

 private:
  const absl::Duration length_max_;
  Bytes random_{0};
  absl::Duration length_;
  int64_t pieces_ = 0;
  int64_t pieces_left_ = 0;
  std::string requests_;
  size_t sent_ = 0;
  std::vector<Lines> answers_;
  size_t answered_ = 0;
};

// POST /upload: the body in pieces.
class UploadExchange : public Exchange {
 public:
  explicit UploadExchange(absl::Duration length_max) : length_max_(length_max) {}
  void Begin(uint64_t seed) override {
    Bytes random(seed);
    pieces_ = 2 + random.Length(length_max_) / kUploadStep;
    body_ = random.Take(pieces_ * (1 + random.Word() % kUploadPieceBytes));
    request_ = RequestHead("POST /upload", absl::StrCat("Content-Length: ", body_.size(), "\r\n"));
    answer_.clear();
    sent_ = -1;
    complete_ = false;
  }
  absl::Duration length() const override { return pieces_ * kUploadStep; }
  absl::optional<Piece> Next() override {
    if (sent_ == pieces_) return absl::nullopt;
    if (++sent_ == 0) return Piece{request_, absl::ZeroDuration()};
    const size_t size = body_.size() / pieces_;
    return Piece{absl::string_view(body_).substr(size * (sent_ - 1), size), kUploadStep};
  }
  std::string OnBody(absl::string_view bytes) override {
    absl::StrAppend(&answer_, bytes);
    return "";
  }
  std::string OnEnd() override {
    if (sent_ < pieces_) return absl::StrCat("answered after ", sent_, " of ", pieces_, " pieces");
    const std::string wanted = UploadAnswer(body_);
    if (answer_ != wanted) return Unlike("the answer to an upload", answer_, wanted);
    complete_ = true;
    return "";
  }
  bool complete() const override { return complete_; }

 private:
  const absl::Duration length_max_;
  int64_t pieces_ = 0;
  int64_t sent_ = 0;  // -1: not even the head
  std::string request_;
  std::string body_;
  std::string answer_;
  bool complete_ = false;
};

// GET /echo with an Upgrade: what is sent comes back.
class TunnelExchange : public Exchange {
 public:
  explicit TunnelExchange(absl::Duration length_max) : length_max_(length_max) {}
  void Begin(uint64_t seed) override {
    random_ = Bytes(seed);
    pieces_ = pieces_left_ = 2 + random_.Length(length_max_) / kTunnelStep;
    sent_.clear();
    received_ = 0;
    head_sent_ = open_ = false;
  }
  // The first piece goes at once.
  absl::Duration length() const override { return (pieces_ - 1) * kTunnelStep; }
  absl::optional<Piece> Next() override {
    if (!head_sent_) {
      head_sent_ = true;
      return Piece{request_, absl::ZeroDuration()};
    }
    if (!open_ || pieces_left_ == 0) return absl::nullopt;
    --pieces_left_;
    piece_ = random_.Take(1 + random_.Word() % kTunnelPieceBytes);
    sent_ += piece_;
    return Piece{piece_, kTunnelStep};
  }
  std::string OnHead(const ResponseHead& head) override {
    if (head.status != 101) return absl::StrCat("status ", head.status);
    open_ = true;
    return "";
  }
  std::string OnBody(absl::string_view bytes) override {
    if (absl::string_view(sent_).substr(received_, bytes.size()) != bytes) {
      return absl::StrCat("the tunnel's byte ", received_, " or a later one came back as another");
    }
    received_ += bytes.size();
    return "";
  }
  std::string OnEnd() override { return ""; }
  bool complete() const override { return open_ && pieces_left_ == 0 && received_ == sent_.size(); }
  bool tunnel() const override { return open_; }

 private:
  const absl::Duration length_max_;
  const std::string request_ = RequestHead("GET /echo", "Connection: Upgrade\r\nUpgrade: echo\r\n");
  Bytes random_{0};
  int64_t pieces_ = 0;
  int64_t pieces_left_ = 0;
  std::string piece_;
  std::string sent_;
  size_t received_ = 0;
  bool head_sent_ = false;
  bool open_ = false;
};

}  // namespace

std::string Exchange::OnHead(const ResponseHead& head) {
  return head.status == 200 ? "" : absl::StrCat("status ", head.status);
}

std::unique_ptr<Exchange> MakeExchange(const LoadGroup& group) {
  switch (group.kind) {
    case LoadKind::kNew:
    case LoadKind::kLate:
      return std::make_unique<TextExchange>("/", "Connection: close\r\n");
    case LoadKind::kKeepAlive:
    case LoadKind::kIdle:
      return std::make_unique<TextExchange>("/", "");
    case LoadKind::kSlow:
      return std::make_unique<SlowExchange>(group.length);
    case LoadKind::kUpload:
      return std::make_unique<UploadExchange>(group.length);
    case LoadKind::kStream:
      return std::make_unique<LinesExchange>("/stream?ms=", kStreamStep, group.length);
    case LoadKind::kSlowReader:
      return std::make_unique<LinesExchange>(
          "/lines?n=", kSlowReadPause * kLineBytes / kSlowReadBytes, group.length);
    case LoadKind::kPipelined:
      return std::make_unique<PipelinedExchange>(group.length);
    case LoadKind::kTunnel:
      return std::make_unique<TunnelExchange>(group.length);
  }
  return nullptr;
}

std::string UploadAnswer(absl::string_view body) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : body) hash = (hash ^ byte) * 0x100000001b3;
  return absl::StrFormat("%d\n%016x\n", body.size(), hash);
}

}  // namespace zdd
