// How many descriptors this process can still open: what a peer must know before it sends some,
// since those for which there is no room are lost.
//
// Threads: any.
#ifndef ZDD_BASE_FREE_FDS_H_
#define ZDD_BASE_FREE_FDS_H_

namespace zdd {

// By RLIMIT_NOFILE. Since Linux 6.2 it costs one system call, before that a walk over all that are
// open. 0 if it cannot be known.
int FreeFds();

}  // namespace zdd

#endif  // ZDD_BASE_FREE_FDS_H_
