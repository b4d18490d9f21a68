// What zdd does from outside to a connection that it only borrows: it recognises it, looks at its
// queues, and ends it in the way that its server notices.
//
// The fd belongs to the server, which may have closed it too early: every call but SocketCookie
// compares the cookie first (socket(7), SO_COOKIE: unique for each socket of a boot), and leaves
// strangers alone.
//
// Threads: any. Lifetime: the fd is borrowed for the call.
#ifndef ZDD_DRAIN_TRACKED_SOCKET_H_
#define ZDD_DRAIN_TRACKED_SOCKET_H_

#include <cstdint>
#include <string>

namespace zdd {

// 0 if it is no socket.
uint64_t SocketCookie(int fd);

enum class OutsideClose {
  kDone,
  kRaced,     // done, but bytes came in just then: their request may get no answer
  kNotQuiet,  // not done: a request lies there unread, or the tail of a response is not yet sent
  kStranger,  // not done: another socket, or none
};

// shutdown(SHUT_RD), if nothing is under way in either direction: the server reads the end of file
// and closes. No byte of a response is lost.
OutsideClose CloseQuiet(int fd, uint64_t cookie);

// shutdown(SHUT_RDWR).
OutsideClose CloseNow(int fd, uint64_t cookie);

// shutdown(SHUT_WR).
void HalfClose(int fd, uint64_t cookie);

// "tcp://192.0.2.7:4711", or empty.
std::string PeerOf(int fd, uint64_t cookie);

}  // namespace zdd

#endif  // ZDD_DRAIN_TRACKED_SOCKET_H_
