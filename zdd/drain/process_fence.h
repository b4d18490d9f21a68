// ProcessFence is the heavy half of an asymmetric fence: it runs a full memory fence on every
// thread of this process, so that a hot path needs none of its own.
//
//   hot thread:  a.store(1, release);  atomic_signal_fence(seq_cst);  sees_b = b.load();
//   rare thread: b.store(1);  ProcessFence();  sees_a = a.load();
//   // at least one of them sees the other's 1
//
// That is membarrier(2), private and expedited, since Linux 4.14: 2 us here, where a fence on the
// hot path would double its cost.
//
// Threads: any.
#ifndef ZDD_DRAIN_PROCESS_FENCE_H_
#define ZDD_DRAIN_PROCESS_FENCE_H_

namespace zdd {

// To be called early, best before a second thread exists (then 20 us, else up to 14 ms). False
// where the kernel or a seccomp filter refuses it: the hot path then needs a fence of its own.
bool RegisterProcessFence();

// REQUIRES: RegisterProcessFence() was true. Should a seccomp filter that came after it refuse this
// call, it sleeps 10 ms instead: not a proof, but what a processor has not yet written by then, no
// processor holds back.
void ProcessFence();

}  // namespace zdd

#endif  // ZDD_DRAIN_PROCESS_FENCE_H_
