#include "zdd/service/service.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "zdd/service/listener_core.h"
#include "zdd/service/service_core.h"

namespace zdd {

absl::string_view StateName(State state) {
  switch (state) {
    case State::kStarting:
      return "starting";
    case State::kServing:
      return "serving";
    case State::kStandby:
      return "standby";
    case State::kDraining:
      return "draining";
    case State::kDrained:
      return "drained";
  }
  return "unknown";
}

absl::optional<Connection> Listener::Accept() { return core_->Accept(); }

absl::Status Listener::OnConnection(absl::AnyInvocable<void(Connection)> callback) {
  return core_->OnConnection(std::move(callback));
}

absl::Status Listener::AcceptWith(Acceptor* acceptor) { return core_->AcceptWith(acceptor); }

Ticket Listener::Enter(int fd) { return core_->Enter(fd); }

void Listener::Pause() { core_->Pause(true); }

void Listener::Resume() { core_->Pause(false); }

Address Listener::address() const { return core_->address(); }

const std::string& Listener::name() const { return core_->name(); }

absl::StatusOr<Service> Service::Create(Options options) {
  absl::StatusOr<std::shared_ptr<ServiceCore>> core = ServiceCore::Create(std::move(options));
  if (!core.ok()) return core.status();
  return Service(*std::move(core));
}

Service& Service::operator=(Service&& other) noexcept {
  if (this == &other) return *this;
  if (core_ != nullptr) core_->Shutdown();
  core_ = std::move(other.core_);
  return *this;
}

Service::~Service() {
  if (core_ != nullptr) core_->Shutdown();
}

absl::StatusOr<Listener> Service::Listen(absl::string_view name, absl::string_view address,
                                         ListenOptions options) {
  absl::StatusOr<std::shared_ptr<ListenerCore>> core =
      core_->Listen(name, address, std::move(options));
  if (!core.ok()) return core.status();
  return Listener(*std::move(core));
}

absl::Status Service::AddReadinessCheck(absl::string_view name,
                                        absl::AnyInvocable<absl::Status()> check) {
  return core_->AddReadinessCheck(name, std::move(check));
}

absl::Status Service::OnState(absl::AnyInvocable<void(State)> callback) {
  return core_->OnState(std::move(callback));
}

absl::Status Service::Start() { return core_->Start(); }

void Service::Upgrade(absl::AnyInvocable<void(const Report&)> done) {
  core_->Upgrade(std::move(done));
}

absl::Status Service::RollBack(absl::string_view reason) { return core_->RollBack(reason); }

absl::Status Service::Release() { return core_->Release(); }

void Service::Stop(absl::string_view reason) { core_->Stop(reason); }

Report Service::Wait() { return core_->Wait(); }

Ticket Service::Enter(absl::string_view kind) { return core_->Enter(kind); }

State Service::state() const { return core_->state(); }

bool Service::ready() const { return core_->ready(); }

int Service::generation() const { return core_->generation(); }

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "zdd: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace zdd
