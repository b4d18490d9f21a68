#include "zdd/handoff/frames.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace zdd {
namespace {

// In the order of Frame's alternatives.
constexpr absl::string_view kNames[] = {"hello",  "welcome",   "offer",   "offer_ack", "prepared",
                                        "accept", "accepting", "release", "serving",   "draining",
                                        "abort",  "fail",      "wish",    "busy",      "refused",
                                        "reads",  "pair",      "ping"};
static_assert(std::size(kNames) == std::variant_size_v<Frame>);

int Fds(const WelcomeFrame&) { return 1; }
int Fds(const OfferFrame& frame) { return static_cast<int>(frame.sockets.size()); }
int Fds(const PairFrame&) { return 1; }
int Fds(const PreparedFrame& frame) { return static_cast<int>(frame.sockets.size()); }
int Fds(const DrainingFrame& frame) {
  return static_cast<int>(std::count_if(frame.older.begin(), frame.older.end(),
                                        [](const OlderGeneration& one) { return one.pidfd; }));
}
template <typename F>
int Fds(const F&) {
  return 0;
}

// Opens a new chunk when the next entry does not fit into the last one.
class Splitter {
 public:
  void Add(std::string claim) {
    PreparedFrame alone;
    alone.claims.push_back(claim);
    MakeRoom(alone);
    chunks_.back().claims.push_back(std::move(claim));
  }

  void Add(OfferedSocket socket) {
    PreparedFrame alone;
    alone.sockets.push_back(socket);
    MakeRoom(alone);
    chunks_.back().sockets.push_back(std::move(socket));
  }

  std::vector<PreparedFrame> Done() && {
    chunks_.back().last = true;
    return std::move(chunks_);
  }

 private:
  void MakeRoom(const PreparedFrame& alone) {
    const size_t size = Encode(alone).size() - empty_size_ + 1;  // and a comma
    if (used_ + size > kChunkBytesMax || chunks_.back().sockets.size() == kChunkFdsMax) {
      chunks_.emplace_back();
      used_ = empty_size_;
    }
    used_ += size;
  }

  const size_t empty_size_ = Encode(PreparedFrame()).size();
  size_t used_ = empty_size_;
  std::vector<PreparedFrame> chunks_ = std::vector<PreparedFrame>(1);
};

}  // namespace

bool OfferFrame::control() const {
  return std::any_of(sockets.begin(), sockets.end(),
                     [](const OfferedSocket& socket) { return socket.listener == kControlName; });
}

int FdCount(const Frame& frame) {
  return std::visit([](const auto& value) { return Fds(value); }, frame);
}

absl::string_view FrameName(const Frame& frame) { return kNames[frame.index()]; }

absl::optional<Event> EventOf(const Frame& frame) {
  struct Visitor {
    absl::optional<Event> operator()(const HelloFrame&) { return Event::kHelloFrame; }
    absl::optional<Event> operator()(const OfferFrame& offer) {
      return Last(offer.last, Event::kOfferFrame);
    }
    absl::optional<Event> operator()(const PreparedFrame& prepared) {
      return Last(prepared.last, Event::kPreparedFrame);
    }
    absl::optional<Event> operator()(const AcceptFrame&) { return Event::kAcceptFrame; }
    absl::optional<Event> operator()(const AcceptingFrame&) { return Event::kAcceptingFrame; }
    absl::optional<Event> operator()(const ReleaseFrame&) { return Event::kReleaseFrame; }
    absl::optional<Event> operator()(const ServingFrame&) { return Event::kServingFrame; }
    absl::optional<Event> operator()(const AbortFrame&) { return Event::kAbortFrame; }
    absl::optional<Event> operator()(const FailFrame&) { return Event::kFailFrame; }
    absl::optional<Event> operator()(const BusyFrame&) { return Event::kRefusedFrame; }
    absl::optional<Event> operator()(const RefusedFrame&) { return Event::kRefusedFrame; }
    absl::optional<Event> operator()(const WelcomeFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const OfferAckFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const DrainingFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const WishFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const ReadsFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const PairFrame&) { return absl::nullopt; }
    absl::optional<Event> operator()(const PingFrame&) { return absl::nullopt; }

    static absl::optional<Event> Last(bool last, Event event) {
      return last ? absl::make_optional(event) : absl::nullopt;
    }
  };
  return std::visit(Visitor(), frame);
}

std::vector<PreparedFrame> SplitPrepared(std::vector<std::string> claims,
                                         std::vector<OfferedSocket> sockets) {
  Splitter splitter;
  for (std::string& claim : claims) splitter.Add(std::move(claim));
  for (OfferedSocket& socket : sockets) splitter.Add(std::move(socket));
  return std::move(splitter).Done();
}

std::vector<OfferFrame> SplitOffer(std::vector<OfferedSocket> sockets) {
  std::vector<OfferFrame> offers;
  for (PreparedFrame& chunk : SplitPrepared({}, std::move(sockets)))
    offers.push_back({std::move(chunk.sockets), chunk.last});
  return offers;
}

absl::StatusOr<int> ChooseProtocol(absl::Span<const int> theirs) {
  if (absl::c_linear_search(theirs, kProtocol)) return kProtocol;
  return absl::FailedPreconditionError(absl::StrCat("agree on a protocol: the peer speaks ",
                                                    absl::StrJoin(theirs, ", "), ", this version ",
                                                    kProtocol));
}

}  // namespace zdd
