#include "zdd/service/service.h"

#include <cstdio>
#include <memory>
#include <string>
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

namespace {

absl::Status EmptyHandle(absl::string_view call, absl::string_view handle,
                         absl::string_view maker) {
  return absl::FailedPreconditionError(absl::StrCat(
      call, ": this ", handle, " is empty (default-constructed or moved from): use the one that ",
      maker, " gave"));
}

absl::Status EmptyService(absl::string_view call) {
  return EmptyHandle(call, "Service", "Create()");
}

absl::Status EmptyListener(absl::string_view call) {
  return EmptyHandle(call, "Listener", "Listen()");
}

absl::Status ListenerWithoutService(const std::string& name) {
  return absl::FailedPreconditionError(
      absl::StrCat("listener \"", name, "\": its service was destroyed"));
}

}  // namespace

absl::optional<Connection> Listener::Accept() {
  if (core_ == nullptr) return absl::nullopt;
  return core_->Accept();
}

absl::Status Listener::OnConnection(absl::AnyInvocable<void(Connection)> callback) {
  if (core_ == nullptr) return EmptyListener("OnConnection()");
  return core_->OnConnection(std::move(callback));
}

absl::Status Listener::AcceptWith(Acceptor* acceptor) {
  if (core_ == nullptr) return EmptyListener("AcceptWith()");
  return core_->AcceptWith(acceptor);
}

Ticket Listener::Enter(int fd) {
  if (core_ == nullptr) return Ticket();
  return core_->Enter(fd);
}

void Listener::Pause() {
  if (core_ == nullptr) return;
  core_->Pause(true);
}

void Listener::Resume() {
  if (core_ == nullptr) return;
  core_->Pause(false);
}

absl::Status Listener::Drain(absl::string_view reason,
                             absl::AnyInvocable<void(const DrainReport&)> done) {
  if (core_ == nullptr) return EmptyListener("Drain()");
  const std::shared_ptr<ServiceCore> service = service_.lock();
  if (service == nullptr) return ListenerWithoutService(core_->name());
  return service->DrainListener(core_->name(), reason, std::move(done));
}

absl::Status Listener::CancelDrain() {
  if (core_ == nullptr) return EmptyListener("CancelDrain()");
  const std::shared_ptr<ServiceCore> service = service_.lock();
  if (service == nullptr) return ListenerWithoutService(core_->name());
  return service->CancelDrain(core_->name());
}

DrainProgress Listener::Progress() const {
  const std::shared_ptr<ServiceCore> service = service_.lock();
  return service == nullptr ? DrainProgress() : service->ListenerProgress(core_->name());
}

Address Listener::address() const {
  if (core_ == nullptr) return Address();
  return core_->address();
}

const std::string& Listener::name() const {
  static const auto* const none = new std::string;
  if (core_ == nullptr) return *none;
  return core_->name();
}

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
  if (core_ == nullptr) return EmptyService("Listen()");
  absl::StatusOr<std::shared_ptr<ListenerCore>> core =
      core_->Listen(name, address, std::move(options));
  if (!core.ok()) return core.status();
  return Listener(*std::move(core), core_);
}

absl::Status Service::AddReadinessCheck(absl::string_view name,
                                        absl::AnyInvocable<absl::Status()> check) {
  if (core_ == nullptr) return EmptyService("AddReadinessCheck()");
  return core_->AddReadinessCheck(name, std::move(check));
}

absl::Status Service::OnState(absl::AnyInvocable<void(State)> callback) {
  if (core_ == nullptr) return EmptyService("OnState()");
  return core_->OnState(std::move(callback));
}

absl::Status Service::Start() {
  if (core_ == nullptr) return EmptyService("Start()");
  return core_->Start();
}

void Service::Upgrade(absl::AnyInvocable<void(const Report&)> done) {
  if (core_ == nullptr) {
    Report report;
    report.status = EmptyService("Upgrade()");
    if (done) done(report);
    return;
  }
  core_->Upgrade(std::move(done));
}

absl::Status Service::RollBack(absl::string_view reason) {
  if (core_ == nullptr) return EmptyService("RollBack()");
  return core_->RollBack(reason);
}

absl::Status Service::Release() {
  if (core_ == nullptr) return EmptyService("Release()");
  return core_->Release();
}

void Service::Stop(absl::string_view reason) {
  if (core_ == nullptr) return;
  core_->Stop(reason);
}

Report Service::Wait() {
  if (core_ != nullptr) return core_->Wait();
  Report report;
  report.status = EmptyService("Wait()");
  return report;
}

DrainProgress Service::Progress() const {
  return core_ == nullptr ? DrainProgress() : core_->Progress();
}

Ticket Service::Enter(absl::string_view kind) {
  if (core_ == nullptr) return Ticket();
  return core_->Enter(kind);
}

State Service::state() const { return core_ == nullptr ? State::kDrained : core_->state(); }

bool Service::ready() const { return core_ != nullptr && core_->ready(); }

int Service::generation() const { return core_ == nullptr ? 0 : core_->generation(); }

int Fail(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "zdd: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace zdd
