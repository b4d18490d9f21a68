// How long the thread that starts a successor stands still, in a process with a big heap. Beside it
// what fork() would take.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/restart/rig.h"
#include "zdd/base/time.h"
#include "zdd/service/child.h"
#include "zdd/service/process_image.h"
#include "zdd/service/spawn.h"

namespace zdd {
namespace {

constexpr int kSpawns = 20;
constexpr int kForks = 5;
constexpr double kBarMs = 1;
constexpr size_t kHeapBytes = size_t{4} << 30;
constexpr size_t kSpareBytes = size_t{1} << 30;

size_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  size_t kib = 0;
  while (file >> word) {
    if (word == "MemAvailable:") file >> kib;
  }
  return kib * 1024;
}

// Memory in pages of 4 KiB, each touched, as of an allocator that has been at work for long.
class Heap {
 public:
  Heap()
      : begin_(
            mmap(nullptr, kHeapBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (!valid()) return;
    madvise(begin_, kHeapBytes, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < kHeapBytes; at += 4096) static_cast<char*>(begin_)[at] = 1;
  }
  ~Heap() {
    if (valid()) munmap(begin_, kHeapBytes);
  }
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  bool valid() const { return begin_ != MAP_FAILED; }

 private:
  void* const begin_;
};

absl::StatusOr<absl::Duration> PauseOfSpawn(const ProcessImage& image) {
  const Instant begin = MonotonicNow();
  absl::StatusOr<Child> child = Spawn(image, {.command = {"/bin/true"}});
  const absl::Duration pause = MonotonicNow() - begin;
  if (!child.ok()) return child.status();
  waitpid(child->pid, nullptr, 0);
  return pause;
}

absl::Duration PauseOfFork() {
  const Instant begin = MonotonicNow();
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  const absl::Duration pause = MonotonicNow() - begin;
  waitpid(pid, nullptr, 0);
  return pause;
}

}  // namespace

absl::Status MeasureSpawnPause(const Rig& rig) {
  if (AvailableBytes() < kHeapBytes + kSpareBytes) {
    return absl::ResourceExhaustedError("a heap of 4 GiB: too little memory is free");
  }
  const Heap heap;
  if (!heap.valid()) return absl::ResourceExhaustedError("mmap of 4 GiB failed");
  const ProcessImage image = ProcessImage::Record();
  std::vector<absl::Duration> spawns;
  for (int i = 0; i < kSpawns; ++i) {
    const absl::StatusOr<absl::Duration> pause = PauseOfSpawn(image);
    if (!pause.ok()) return pause.status();
    spawns.push_back(*pause);
  }
  std::vector<absl::Duration> forks;
  for (int i = 0; i < kForks; ++i) forks.push_back(PauseOfFork());
  rig.bars->AtMost("pause of a spawn, 4 GiB heap", absl::ToDoubleMilliseconds(Median(spawns)),
                   kBarMs, "ms");
  rig.bars->Note("fork() would take", absl::ToDoubleMilliseconds(Median(forks)), "ms");
  return absl::OkStatus();
}

}  // namespace zdd
