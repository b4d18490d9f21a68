#include "zdd/service/process_services.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/base/status.h"

namespace zdd {

ProcessServices& ProcessServices::Get() {
  // Never destroyed: a service may end in a static destructor of the embedder's, though it should
  // not.
  static auto* const services = new ProcessServices;
  return *services;
}

absl::Status ProcessServices::Add(const std::string& key, std::weak_ptr<ProcessMember> member) {
  MutexLock lock(&mutex_);
  auto [it, added] = members_.emplace(key, member);
  if (added) return absl::OkStatus();
  if (it->second.expired()) {
    it->second = std::move(member);
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat("service ", key, ": this process has one already"));
}

void ProcessServices::Remove(const std::string& key) {
  MutexLock lock(&mutex_);
  members_.erase(key);
  reservations_.erase(key);
}

bool ProcessServices::Reserved(const std::string& key) {
  MutexLock lock(&mutex_);
  return reservations_.count(key) != 0;
}

absl::StatusOr<ProcessServices::Spawned> ProcessServices::Spawn(const std::string& key,
                                                                const ProcessImage& image,
                                                                SpawnRequest request) {
  std::vector<std::shared_ptr<ProcessMember>> others;
  absl::optional<Spawned> mine;
  {
    // Held over the spawn (0.3 ms), so that two services cannot begin one each.
    MutexLock lock(&mutex_);
    auto reserved = reservations_.find(key);
    if (reserved != reservations_.end()) {
      mine = Spawned{std::move(reserved->second.channel), std::move(reserved->second.process)};
      reservations_.erase(reserved);
      return *std::move(mine);
    }
    std::vector<std::pair<std::string, std::shared_ptr<ProcessMember>>> members;
    for (const auto& [member_key, weak] : members_) {
      std::shared_ptr<ProcessMember> member = weak.lock();
      if (member != nullptr) members.emplace_back(member_key, std::move(member));
    }
    std::vector<FdChannel::Ends> ends;
    for (const auto& [member_key, member] : members) {
      absl::StatusOr<FdChannel::Ends> pair = FdChannel::Pair();
      if (!pair.ok()) return pair.status();
      request.channels.push_back(
          {member->service_name(), pair->theirs.fd(), member->upgrade_signal()});
      ends.push_back(*std::move(pair));
    }
    absl::StatusOr<Child> child = zdd::Spawn(image, request);
    if (!child.ok()) return child.status();
    auto process =
        std::make_shared<SuccessorProcess>(*std::move(child), static_cast<int>(members.size()));
    reservations_.clear();  // of a spawn that some service never joined: its successor hears the
                            // end of its channel
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].first == key) {
        mine = Spawned{std::move(ends[i].ours), process};
      } else {
        reservations_.emplace(members[i].first, Reservation{std::move(ends[i].ours), process});
        others.push_back(members[i].second);
      }
    }
  }
  for (const auto& other : others) other->JoinSpawn();
  if (!mine.has_value())
    return absl::FailedPreconditionError(absl::StrCat("service ", key, " has ended"));
  return *std::move(mine);
}

}  // namespace zdd
