// ProcessServices knows the services of this process, because a spawn belongs to the process and
// not to one of them: a successor process contains all of its services, so two services that each
// spawned one would be torn between two processes.
//
//   ProcessServices::Get().Add(core);                         // AlreadyExists if that name is
//   served here already auto spawned = ProcessServices::Get().Spawn(core, ...);   // joins a spawn
//   that another service has begun
//
// Threads: any. Lifetime: the one object of zdd that lives as long as the process; it holds
// services weakly.
#ifndef ZDD_SERVICE_PROCESS_SERVICES_H_
#define ZDD_SERVICE_PROCESS_SERVICES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "zdd/base/mutex.h"
#include "zdd/net/fd_channel.h"
#include "zdd/service/process_image.h"
#include "zdd/service/spawn.h"
#include "zdd/service/successor_process.h"

namespace zdd {

// One service, as the others see it.
class ProcessMember {
 public:
  virtual ~ProcessMember() = default;
  virtual const std::string& service_name() const = 0;
  virtual int upgrade_signal() const = 0;
  // A successor process was started, with a channel for this service too: begin the handoff. Any
  // thread.
  virtual void JoinSpawn() = 0;
};

class ProcessServices {
 public:
  static ProcessServices& Get();

  struct Spawned {
    FdChannel channel;
    std::shared_ptr<SuccessorProcess> process;
  };

  // `key` is unique in the process: directory and name.
  absl::Status Add(const std::string& key, std::weak_ptr<ProcessMember> member);
  void Remove(const std::string& key);

  // The successor's channel for the service `key`: reserved by the spawn of another service, or of
  // a new one, which reserves for all others and tells them.
  absl::StatusOr<Spawned> Spawn(const std::string& key, const ProcessImage& image,
                                SpawnRequest request);

  // Whether a spawn has reserved a channel for `key` that it has not taken yet.
  bool Reserved(const std::string& key);

 private:
  struct Reservation {
    FdChannel channel;
    std::shared_ptr<SuccessorProcess> process;
  };

  Mutex mutex_;
  std::map<std::string, std::weak_ptr<ProcessMember>> members_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Reservation> reservations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_SERVICE_PROCESS_SERVICES_H_
