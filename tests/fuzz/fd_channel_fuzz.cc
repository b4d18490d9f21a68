// Two ends of a channel against a model of what is in flight: whatever is sent through the front
// door or past it, the receiver gets each frame once, whole and in order, is told of what is none,
// sees the end exactly when all was read, and no descriptor is left over.
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "tests/fuzz/property.h"
#include "zdd/net/fd_channel.h"

namespace zdd {
namespace {

struct InFlight {
  size_t size;
  size_t fds;
  bool is_frame() const { return size > 0 && size <= kFrameBytesMax && fds <= kFrameFdsMax; }
};

size_t CountOpenFds() {
  DIR* directory = opendir("/proc/self/fd");
  size_t count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// Sizes around what matters, from one byte of the input.
size_t SizeOf(uint8_t choice) {
  const size_t sizes[] = {1, 2, 100, 4096, kFrameBytesMax - 1, kFrameBytesMax, kFrameBytesMax + 1,
                          0};
  return sizes[choice % 8];
}

size_t FdsOf(uint8_t choice) {
  const size_t counts[] = {0, 0, 0, 1, 2, 64, kFrameFdsMax, kFrameFdsMax + 1};
  return counts[choice / 8 % 8];
}

ssize_t SendPastTheChannel(int fd, const std::string& bytes, const std::vector<int>& fds) {
  iovec vector = {const_cast<char*>(bytes.data()), bytes.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

class World {
 public:
  World() {
    absl::StatusOr<FdChannel::Ends> ends = FdChannel::Pair();
    ZDD_PROPERTY(ends.ok());
    ends_[0].emplace(std::move(ends->ours));
    ends_[1].emplace(std::move(ends->theirs));
    null_ = OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  // One step: the operation, the side that does it, and its size and descriptors.
  void Step(uint8_t operation, uint8_t choice) {
    const int side = operation & 1;
    if (!ends_[side].has_value()) return;
    switch (operation >> 1 & 3) {
      case 0:
        return Send(side, {SizeOf(choice), FdsOf(choice)});
      case 1:
        return SendRaw(side, {SizeOf(choice), FdsOf(choice)});
      case 2:
        return Receive(side);
      case 3:
        if (choice % 16 == 0) ends_[side].reset();
        return;
    }
  }

  // All that is left is delivered, and then the end.
  void Finish() {
    for (int side : {0, 1}) {
      if (!ends_[side].has_value()) continue;
      ends_[1 - side].reset();
      while (!queues_[side].empty()) Receive(side);
      Receive(side);
      ends_[side].reset();
    }
  }

 private:
  void Send(int side, InFlight frame) {
    const std::string bytes(frame.size, 'x');
    SendResult result = ends_[side]->Send(bytes, std::vector<int>(frame.fds, null_.get()));
    ZDD_PROPERTY(result.status.ok() == (result.kind == SendResult::kSent));
    ZDD_PROPERTY((result.kind == SendResult::kFailed) == !frame.is_frame());
    if (frame.is_frame()) {
      ZDD_PROPERTY((result.kind == SendResult::kPeerGone) == !ends_[1 - side].has_value());
    }
    if (result.kind == SendResult::kSent) queues_[1 - side].push_back(frame);
  }

  void SendRaw(int side, InFlight datagram) {
    const std::string bytes(datagram.size, 'x');
    const std::vector<int> fds(datagram.fds, null_.get());
    if (SendPastTheChannel(ends_[side]->fd(), bytes, fds) >= 0) {
      queues_[1 - side].push_back(datagram);
    }
  }

  void Receive(int side) {
    Received received = ends_[side]->Receive();
    std::deque<InFlight>& queue = queues_[side];
    if (queue.empty()) {
      ZDD_PROPERTY(received.kind ==
                   (ends_[1 - side].has_value() ? Received::kWouldBlock : Received::kEndOfFile));
      return;
    }
    const InFlight next = queue.front();
    queue.pop_front();
    ZDD_PROPERTY(received.kind == (next.is_frame() ? Received::kFrame : Received::kBroken));
    ZDD_PROPERTY(received.status.ok() == next.is_frame());
    ZDD_PROPERTY(received.bytes.size() == (next.is_frame() ? next.size : 0));
    ZDD_PROPERTY(received.fds.size() == (next.is_frame() ? next.fds : 0));
    ZDD_PROPERTY(received.credentials.has_value() == next.is_frame());
  }

  absl::optional<FdChannel> ends_[2];
  std::deque<InFlight> queues_[2];  // what each side has yet to read
  OwnedFd null_;
};

}  // namespace
}  // namespace zdd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const size_t open_before = zdd::CountOpenFds();
  {
    zdd::World world;
    for (size_t i = 0; i + 1 < size && i < 200; i += 2) world.Step(data[i], data[i + 1]);
    world.Finish();
  }
  ZDD_PROPERTY(zdd::CountOpenFds() == open_before);
  return 0;
}
