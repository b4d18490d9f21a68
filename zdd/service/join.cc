#include "zdd/service/join.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "zdd/base/free_fds.h"
#include "zdd/base/status.h"
#include "zdd/base/syscalls.h"
#include "zdd/base/time.h"

namespace zdd {
namespace {

// Payload of the status for a busy frame.
constexpr absl::string_view kBusyUrl = "zdd/busy";

absl::Status Busy(const BusyFrame& busy) {
  absl::Status status = absl::UnavailableError(absl::StrCat(
      "busy: it is in ", busy.state, busy.pid > 0 ? absl::StrCat(" with pid ", busy.pid) : "",
      ", try again in ", absl::FormatDuration(busy.retry_after)));
  status.SetPayload(kBusyUrl, absl::Cord());
  return status;
}

struct Message {
  Frame frame;
  std::vector<OwnedFd> fds;
  absl::optional<Credentials> credentials;
};

class Joiner {
 public:
  Joiner(FdChannel channel, const JoinRequest& request)
      : channel_(std::move(channel)), request_(request), began_(MonotonicNow()) {}

  absl::StatusOr<JoinedHandoff> Run() {
    absl::StatusOr<Credentials> credentials = channel_.PeerCredentials();
    if (credentials.ok()) predecessor_.pid = credentials->pid;
    pidfd_ = channel_.PeerPidfd();
    if (absl::Status status = SayHello(); !status.ok()) return Named(status);
    absl::StatusOr<WelcomeFrame> welcome = AwaitWelcome();
    if (!welcome.ok()) return Named(welcome.status());
    if (absl::Status status = ReceiveOffer(); !status.ok()) return Named(status);
    return JoinedHandoff{std::move(channel_), std::move(pidfd_),  predecessor_,
                         *std::move(welcome), *std::move(token_), std::move(sockets_),
                         std::move(fds_)};
  }

 private:
  absl::Status Named(const absl::Status& status) {
    return Annotate(status, absl::StrCat("join pid ", predecessor_.pid));
  }

  absl::Status SayHello() {
    HelloFrame hello;
    hello.protocols = {kProtocol};
    hello.name = request_.service;
    hello.version = request_.version;
    hello.pid = getpid();
    hello.free_fds = FreeFds();
    return Send(hello);
  }

  absl::Status Send(const Frame& frame) {
    SendResult result = channel_.Send(Encode(frame));
    if (result.kind == SendResult::kSent) return absl::OkStatus();
    if (result.kind == SendResult::kPeerGone) {
      return SentAway(Annotate(result.status, absl::StrCat("send ", FrameName(frame))));
    }
    // Two or three small frames always fit into an empty queue: this is no peer of ours.
    return Annotate(result.status, absl::StrCat("send ", FrameName(frame)));
  }

  // By one that has too many visitors to listen to another (ControlServer), or ends.
  static absl::Status SentAway(const absl::Status& status) {
    return absl::UnavailableError(
        absl::StrCat(status.message(),
                     "; if it lives, its control socket is crowded with silent visitors, whom it "
                     "sends away after a second: try again then"));
  }

  absl::StatusOr<WelcomeFrame> AwaitWelcome() {
    absl::StatusOr<Message> message =
        Receive(std::min(request_.welcome_limit, request_.join_limit));
    if (absl::IsDeadlineExceeded(message.status())) {
      return absl::UnavailableError(absl::StrCat(
          "the predecessor does not answer within ", absl::FormatDuration(request_.welcome_limit),
          "; if it hangs, stop it: this generation then begins anew"));
    }
    if (absl::IsUnavailable(message.status())) return SentAway(message.status());
    if (!message.ok()) return message.status();
    if (auto* busy = std::get_if<BusyFrame>(&message->frame)) {
      return Busy(*busy);
    }
    if (auto* refused = std::get_if<RefusedFrame>(&message->frame)) {
      return absl::FailedPreconditionError(absl::StrCat("it refuses: ", refused->reason));
    }
    auto* welcome = std::get_if<WelcomeFrame>(&message->frame);
    if (welcome == nullptr) return Unexpected(message->frame, "welcome");
    if (welcome->protocol != kProtocol) {
      return absl::FailedPreconditionError(
          absl::StrCat("it speaks protocol ", welcome->protocol, ", this version ", kProtocol));
    }
    absl::StatusOr<Token> token = Token::Adopt(std::move(message->fds[0]));
    if (!token.ok()) return token.status();
    token_ = *std::move(token);
    Know(*welcome, message->credentials);
    return std::move(*welcome);
  }

  // Who sent the welcome is who answers, by the kernel's word; who called listen() may have died
  // long ago.
  void Know(const WelcomeFrame& welcome, const absl::optional<Credentials>& credentials) {
    predecessor_.number = welcome.predecessor;
    predecessor_.version = welcome.version;
    if (!credentials.has_value() || credentials->pid == 0 || credentials->pid == predecessor_.pid)
      return;
    predecessor_.pid = credentials->pid;
    pidfd_ = OwnedFd(Syscalls::Real().PidfdOpen(credentials->pid, 0));
  }

  absl::Status ReceiveOffer() {
    for (;;) {
      absl::StatusOr<Message> message = Receive(request_.join_limit);
      if (!message.ok()) return Annotate(message.status(), "receive the listeners");
      if (auto* abort = std::get_if<AbortFrame>(&message->frame)) {
        return absl::AbortedError(absl::StrCat("it takes everything back: ", abort->reason));
      }
      auto* offer = std::get_if<OfferFrame>(&message->frame);
      if (offer == nullptr) return Unexpected(message->frame, "offer");
      std::move(offer->sockets.begin(), offer->sockets.end(), std::back_inserter(sockets_));
      std::move(message->fds.begin(), message->fds.end(), std::back_inserter(fds_));
      if (offer->last) return absl::OkStatus();
      if (absl::Status status = Send(OfferAckFrame{}); !status.ok()) return status;
    }
  }

  static absl::Status Unexpected(const Frame& frame, absl::string_view wanted) {
    return absl::DataLossError(
        absl::StrCat("got a frame \"", FrameName(frame), "\", want \"", wanted, "\""));
  }

  // The next frame, by `limit` from the beginning on.
  absl::StatusOr<Message> Receive(absl::Duration limit) {
    for (;;) {
      Received received = channel_.Receive();
      switch (received.kind) {
        case Received::kFrame: {
          absl::StatusOr<Frame> frame =
              Decode(received.bytes, static_cast<int>(received.fds.size()));
          if (!frame.ok()) return frame.status();
          if (std::holds_alternative<PingFrame>(*frame)) continue;
          return Message{*std::move(frame), std::move(received.fds), received.credentials};
        }
        case Received::kEndOfFile:
          return absl::UnavailableError("it died, or closed the channel");
        case Received::kBroken:
          return received.status;
        case Received::kWouldBlock:
          break;
      }
      if (absl::Status status = Wait(limit); !status.ok()) return status;
    }
  }

  absl::Status Wait(absl::Duration limit) {
    const absl::Duration left = began_ + limit - MonotonicNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("no answer within ", absl::FormatDuration(limit)));
    }
    pollfd polled[] = {{channel_.fd(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
    const int count = pidfd_.valid() ? 2 : 1;
    if (poll(polled, count, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) < 0 &&
        errno != EINTR) {
      return ErrnoStatus(errno, "poll");
    }
    // A forked child of the dead may hold the channel open: its pidfd tells. What it sent is read
    // first.
    if (count == 2 && polled[1].revents != 0 && polled[0].revents == 0) {
      return absl::UnavailableError("it died");
    }
    return absl::OkStatus();
  }

  FdChannel channel_;
  const JoinRequest& request_;
  const Instant began_;
  GenerationInfo predecessor_;
  OwnedFd pidfd_;
  absl::optional<Token> token_;
  std::vector<OfferedSocket> sockets_;
  std::vector<OwnedFd> fds_;
};

}  // namespace

bool IsBusy(const absl::Status& status) { return status.GetPayload(kBusyUrl).has_value(); }

absl::StatusOr<JoinedHandoff> JoinPredecessor(FdChannel channel, const JoinRequest& request) {
  return Joiner(std::move(channel), request).Run();
}

}  // namespace zdd
