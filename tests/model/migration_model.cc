#include "tests/model/migration_model.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "absl/strings/str_cat.h"

namespace zdd::migration_model {
namespace {

constexpr uint8_t kRevoked = 100;
constexpr uint8_t kGarbled = 101;
constexpr uint8_t kTakenBit = 16;

constexpr const char* kNames[] = {"sender works",
                                  "sender's send does not fit",
                                  "sender sends a batch",
                                  "sender reads",
                                  "sender finds it overdue",
                                  "sender hears of the death",
                                  "sender is asked to revoke",
                                  "receiver works",
                                  "receiver's acknowledgement does not fit",
                                  "receiver acknowledges again",
                                  "receiver reads",
                                  "receiver reads and refuses",
                                  "receiver hears of the death",
                                  "receiver stops taking",
                                  "receiver has waited",
                                  "sender is killed",
                                  "receiver is killed",
                                  "sender's death completes",
                                  "sender is frozen",
                                  "sender thaws",
                                  "receiver is frozen",
                                  "receiver thaws",
                                  "sender garbles",
                                  "receiver garbles"};

bool Alive(Life life) { return life == Life::kRunning || life == Life::kStopped; }

class Model {
 public:
  explicit Model(const Options& options) : options_(options) {}

  World Start() const {
    World world;
    for (int i = options_.connections; i < kConnectionsMax; ++i)
      world.connections[i].at_sender = Copy::kNone;
    return world;
  }

  std::vector<Step> Steps(const World& world) const;
  World Apply(World world, Step step);
  std::string WrongIn(const World& world);
  std::string WrongAtEnd(const World& world) const;
  const std::string& wrong() const { return wrong_; }
  bool Lost(const Connection& one, const World& world) const;

 private:
  void SenderSteps(const World& world, std::vector<Step>* steps) const;
  void ReceiverSteps(const World& world, std::vector<Step>* steps) const;
  void Faults(const World& world, std::vector<Step>* steps) const;

  void TellSender(World* world, SenderEvent event);
  void TellReceiver(World* world, ReceiverEvent event);
  void SenderWorks(World* world, bool blocked);
  void SenderSends(World* world);
  void SenderReads(World* world);
  void ReceiverWorks(World* world, bool blocked);
  void ReceiverReads(World* world, bool refuse);
  void Acknowledge(World* world, bool blocked);
  void TakeBack(World* world);
  void ComeHome(Connection* one);
  void Serve(World* world, int index);
  void BeginDeath(World* world);
  void EndDeath(World* world);

  bool SenderGone(const World& world) const {
    return world.sender_closed || !Alive(world.sender_life);
  }
  bool ReceiverGone(const World& world) const {
    return world.receiver_closed || !Alive(world.receiver_life);
  }
  int NextToSend(const World& world) const { return world.sender.next_no() - 1; }
  void Blame(const char* wrong) {
    if (wrong_.empty()) wrong_ = wrong;
  }
  bool Without(Mutant mutant) const { return options_.mutant == mutant; }

  const Options options_;
  std::string wrong_;
};

// ---- Which steps a world allows.

std::vector<Step> Model::Steps(const World& world) const {
  std::vector<Step> steps;
  if (world.sender_life == Life::kRunning) SenderSteps(world, &steps);
  if (world.receiver_life == Life::kRunning) ReceiverSteps(world, &steps);
  if (world.sender_life == Life::kDying) steps.push_back({Step::kDeathCompletes, 0});
  Faults(world, &steps);
  return steps;
}

void Model::SenderSteps(const World& world, std::vector<Step>* steps) const {
  if (!world.sender_todo.empty()) {
    steps->push_back({Step::kSenderWorks, 0});
    if (world.sender_todo.front() == static_cast<uint8_t>(SenderEffect::kSendRevoked))
      steps->push_back({Step::kSenderBlocked, 1});
    return;
  }
  const SenderMachine& machine = world.sender;
  if (machine.state() == SenderState::kBroken) return;
  if (machine.may_send() && NextToSend(world) < options_.connections)
    steps->push_back({Step::kSenderSends, 0});
  const bool end = world.shut_read || ReceiverGone(world);
  if (!world.up.empty() || end) steps->push_back({Step::kSenderReads, 0});
  if (machine.open()) steps->push_back({Step::kSenderRevokes, 1});
  const bool all_read = world.up.empty() || Without(Mutant::kDeathBeforeAcks);
  if (all_read && world.receiver_life == Life::kDead && !world.death_told_to_sender)
    steps->push_back({Step::kSenderHearsDeath, 0});
  if (world.up.empty() && machine.open() && machine.unacknowledged() > 0)
    steps->push_back({Step::kSenderOverdue, 0});
}

void Model::ReceiverSteps(const World& world, std::vector<Step>* steps) const {
  const ReceiverMachine& machine = world.receiver;
  if (!world.receiver_todo.empty()) {
    steps->push_back({Step::kReceiverWorks, 0});
    if (world.receiver_todo.front() == static_cast<uint8_t>(ReceiverEffect::kSendAck))
      steps->push_back({Step::kReceiverBlocked, 1});
    return;
  }
  if (machine.state() == ReceiverState::kClosed) return;
  if (machine.acking()) steps->push_back({Step::kReceiverAcksAgain, 0});
  if (!world.refusing) steps->push_back({Step::kReceiverStops, 1});
  const bool dead = world.sender_life == Life::kDead;
  if (dead && !world.death_told_to_receiver) steps->push_back({Step::kReceiverHearsDeath, 0});
  if (!machine.wants_read()) return;
  const bool something = !world.down.empty() || world.sender_closed || dead;
  if (something) steps->push_back({Step::kReceiverReads, 0});
  if (!world.down.empty() && world.down.front() <= kConnectionsMax)
    steps->push_back({Step::kReceiverRefuses, 1});
  if (!something && machine.ending() && world.sender_life != Life::kDying)
    steps->push_back({Step::kReceiverWaited, 0});
}

void Model::Faults(const World& world, std::vector<Step>* steps) const {
  const auto add = [&](bool possible, Step::Kind kind, uint8_t cost) {
    if (possible) steps->push_back({kind, cost});
  };
  add(Alive(world.sender_life), Step::kSenderDies, 1);
  add(Alive(world.receiver_life), Step::kReceiverDies, 1);
  add(world.sender_life == Life::kRunning, Step::kSenderStops, 1);
  add(world.sender_life == Life::kStopped, Step::kSenderContinues, 0);
  add(world.receiver_life == Life::kRunning, Step::kReceiverFreezes, 1);
  add(world.receiver_life == Life::kStopped, Step::kReceiverContinues, 0);
  add(world.sender_life == Life::kRunning && !world.sender_closed && !world.down.Has(kGarbled),
      Step::kSenderGarbles, 1);
  add(world.receiver_life == Life::kRunning && !world.receiver_closed && !world.shut_read &&
          !SenderGone(world) && !world.up.Has(kGarbled),
      Step::kReceiverGarbles, 1);
}

// ---- What each leads to.

World Model::Apply(World world, Step step) {
  switch (step.kind) {
    case Step::kSenderWorks:
      SenderWorks(&world, false);
      break;
    case Step::kSenderBlocked:
      SenderWorks(&world, true);
      break;
    case Step::kSenderSends:
      SenderSends(&world);
      break;
    case Step::kSenderReads:
      SenderReads(&world);
      break;
    case Step::kSenderOverdue:
      TellSender(&world, SenderEvent::kOverdue);
      if (Without(Mutant::kTakenBackByTimer)) TellSender(&world, SenderEvent::kEndOfFile);
      break;
    case Step::kSenderHearsDeath:
      world.death_told_to_sender = true;
      TellSender(&world, SenderEvent::kPeerDead);
      if (Without(Mutant::kDeathBeforeAcks)) TellSender(&world, SenderEvent::kEndOfFile);
      break;
    case Step::kSenderRevokes:
      TellSender(&world, SenderEvent::kRevokeAsked);
      break;
    case Step::kReceiverWorks:
      ReceiverWorks(&world, false);
      break;
    case Step::kReceiverBlocked:
      ReceiverWorks(&world, true);
      break;
    case Step::kReceiverAcksAgain:
      Acknowledge(&world, false);
      break;
    case Step::kReceiverReads:
      ReceiverReads(&world, false);
      break;
    case Step::kReceiverRefuses:
      ReceiverReads(&world, true);
      break;
    case Step::kReceiverHearsDeath:
      world.death_told_to_receiver = true;
      TellReceiver(&world, ReceiverEvent::kPeerDead);
      break;
    case Step::kReceiverStops:
      world.refusing = true;
      TellReceiver(&world, ReceiverEvent::kRefuse);
      break;
    case Step::kReceiverWaited:
      TellReceiver(&world, ReceiverEvent::kWaited);
      break;
    case Step::kSenderDies:
      BeginDeath(&world);
      break;
    case Step::kReceiverDies:
      world.receiver_life = Life::kDead;
      world.receiver_todo.Clear();
      world.down.Clear();
      break;
    case Step::kDeathCompletes:
      EndDeath(&world);
      break;
    case Step::kSenderStops:
      world.sender_life = Life::kStopped;
      break;
    case Step::kSenderContinues:
      world.sender_life = Life::kRunning;
      break;
    case Step::kReceiverFreezes:
      world.receiver_life = Life::kStopped;
      break;
    case Step::kReceiverContinues:
      world.receiver_life = Life::kRunning;
      break;
    case Step::kSenderGarbles:
      world.garbled = true;
      if (!ReceiverGone(world)) world.down.Push(kGarbled);
      break;
    case Step::kReceiverGarbles:
      world.up.Push(kGarbled);
      break;
  }
  return world;
}

// First the other one's sends fail; then the end of file shows, and the death.
void Model::BeginDeath(World* world) {
  world->sender_life = Life::kDying;
  world->sender_todo.Clear();
}

// With it the receiver owns what it was sent and nobody took back: nobody else is left.
void Model::EndDeath(World* world) {
  world->sender_life = Life::kDead;
  world->up.Clear();
}

void Model::TellSender(World* world, SenderEvent event) {
  for (SenderEffect effect : world->sender.OnEvent(event))
    world->sender_todo.Push(static_cast<uint8_t>(effect));
}

void Model::TellReceiver(World* world, ReceiverEvent event) {
  for (ReceiverEffect effect : world->receiver.OnEvent(event))
    world->receiver_todo.Push(static_cast<uint8_t>(effect));
}

void Model::SenderWorks(World* world, bool blocked) {
  const auto effect = static_cast<SenderEffect>(world->sender_todo.front());
  const bool said =
      Without(Mutant::kRevokedNotSaid) || (blocked && Without(Mutant::kBlockedRevokedIsSaid));
  if (blocked && !said) return;  // tried again
  world->sender_todo.Pop();
  switch (effect) {
    case SenderEffect::kComplete:
      return;  // done as it is read
    case SenderEffect::kSendRevoked:
      if (said) return TellSender(world, SenderEvent::kRevokedSent);
      if (ReceiverGone(*world)) return TellSender(world, SenderEvent::kPeerGone);
      world->down.Push(kRevoked);
      world->revoked_sent = true;
      return TellSender(world, SenderEvent::kRevokedSent);
    case SenderEffect::kShutRead:
      world->shut_read = true;
      return;
    case SenderEffect::kTakeBack:
      return TakeBack(world);
  }
}

void Model::TakeBack(World* world) {
  world->sender_closed = true;
  for (int i = 0; i < options_.connections; ++i)
    if (world->connections[i].at_sender == Copy::kWaits) ComeHome(&world->connections[i]);
}

// The server goes on with it at once.
void Model::ComeHome(Connection* one) {
  if (one->receiver_owns) Blame("the sender takes back what the receiver owns");
  if (one->used_by_receiver) Blame("the sender serves with a state that is old");
  if (one->refused && one->at_receiver == Copy::kWaits)
    Blame("what was refused has a copy at the receiver");
  one->at_sender = Copy::kServes;
  one->used_by_sender = true;
  ++one->came_home;
}

void Model::SenderSends(World* world) {
  if (ReceiverGone(*world)) return TellSender(world, SenderEvent::kPeerGone);
  Connection& one = world->connections[NextToSend(*world)];
  world->down.Push(static_cast<uint8_t>(world->sender.next_no()));
  world->sender.Sent();
  one.sent = true;
  if (Without(Mutant::kClosedWhenSent)) one.at_sender = Copy::kClosed;
}

void Model::SenderReads(World* world) {
  if (world->up.empty()) return TellSender(world, SenderEvent::kEndOfFile);
  const uint8_t frame = world->up.Pop();
  if (frame == kGarbled) return TellSender(world, SenderEvent::kGarbage);
  const int no = frame % kTakenBit;
  for (SenderEffect effect : world->sender.OnAck(no)) {
    if (effect != SenderEffect::kComplete) {
      Blame("an acknowledgement in order is taken for garbage");
      continue;
    }
    Connection& one = world->connections[no - 1];
    if ((frame & kTakenBit) == 0) {
      ComeHome(&one);
    } else {
      if (!one.receiver_owns) Blame("the sender lets go of what the receiver does not own");
      one.at_sender = Copy::kClosed;
    }
  }
}

void Model::ReceiverWorks(World* world, bool blocked) {
  const auto effect = static_cast<ReceiverEffect>(world->receiver_todo.Pop());
  Connection& first = world->connections[std::min<int>(world->receiver_done, kConnectionsMax - 1)];
  switch (effect) {
    case ReceiverEffect::kSendAck:
      return Acknowledge(world, blocked);
    case ReceiverEffect::kDeliver:
      if (first.at_receiver == Copy::kWaits) Serve(world, world->receiver_done);
      ++world->receiver_done;
      return;
    case ReceiverEffect::kAdoptHeld:
      for (Connection& one : world->connections)
        if (one.at_receiver == Copy::kWaits) one.receiver_owns = true;
      if (world->sender_life != Life::kDead) Blame("adopted from a sender that lives");
      if (world->revoked_sent) Blame("adopted what the sender had taken back");
      return;
    case ReceiverEffect::kRefuseHeld:
      first.refused = true;
      first.at_receiver = Copy::kClosed;
      return;
    case ReceiverEffect::kCloseHeld:
      for (Connection& one : world->connections)
        if (one.at_receiver == Copy::kWaits) one.at_receiver = Copy::kClosed;
      return;
    case ReceiverEffect::kClose:
      world->receiver_closed = true;
      world->down.Clear();
      return;
  }
}

void Model::Serve(World* world, int index) {
  Connection& one = world->connections[index];
  if (!one.receiver_owns) Blame("the receiver serves what it does not own");
  if (one.used_by_sender) Blame("the receiver serves with a state that is old");
  one.at_receiver = Copy::kServes;
  one.used_by_receiver = true;
}

void Model::Acknowledge(World* world, bool blocked) {
  if (blocked) return TellReceiver(world, ReceiverEvent::kAckBlocked);
  Connection& one = world->connections[world->receiver_done];
  const bool taken = !one.refused && one.at_receiver != Copy::kClosed;
  if (SenderGone(*world) || world->shut_read) {
    if (!Without(Mutant::kFailedAckIgnored)) {
      TellReceiver(world, ReceiverEvent::kAckFailed);
      if (Without(Mutant::kFailedAckCloses) && !world->sender_closed && world->down.empty() &&
          world->sender_life != Life::kDead)
        TellReceiver(world, ReceiverEvent::kWaited);
      return;
    }
  } else {
    world->up.Push(static_cast<uint8_t>(world->receiver_done + 1 + (taken ? kTakenBit : 0)));
    one.receiver_owns = taken;
  }
  TellReceiver(world, ReceiverEvent::kAckSent);
}

void Model::ReceiverReads(World* world, bool refuse) {
  if (world->down.empty()) return TellReceiver(world, ReceiverEvent::kEndOfFile);
  const uint8_t frame = world->down.Pop();
  if (frame == kRevoked) return TellReceiver(world, ReceiverEvent::kRevoked);
  if (frame == kGarbled) return TellReceiver(world, ReceiverEvent::kGarbage);
  Connection& one = world->connections[frame - 1];
  one.refused = refuse || world->receiver.refuses();
  const bool closed = one.refused && !Without(Mutant::kRefusedClosedLate);
  one.at_receiver = closed ? Copy::kClosed : Copy::kWaits;
  if (!one.refused && Without(Mutant::kTouchedBeforeAck)) Serve(world, frame - 1);
  for (ReceiverEffect effect : world->receiver.OnBatch(frame, one.refused ? 0 : 1))
    world->receiver_todo.Push(static_cast<uint8_t>(effect));
}

// ---- What must hold.

std::string Model::WrongIn(const World& world) {
  if (!wrong_.empty()) return wrong_;
  for (const Connection& one : world.connections) {
    if (one.at_sender == Copy::kServes && one.at_receiver == Copy::kServes &&
        Alive(world.sender_life) && Alive(world.receiver_life))
      return "two processes serve one connection";
    if (one.came_home > 1) return "a connection came home twice";
  }
  // Nobody waits for a frozen or dead receiver: the sender alone comes to an end.
  if (world.sender_life != Life::kRunning || Alive(world.receiver_life) == false) return "";
  if (world.receiver_life != Life::kStopped) return "";
  World alone = world;
  for (int i = 0; i < 40 && alone.sender.unacknowledged() > 0; ++i) {
    std::vector<Step> steps;
    SenderSteps(alone, &steps);
    const auto free =
        std::find_if(steps.rbegin(), steps.rend(), [](Step step) { return step.cost == 0; });
    if (free == steps.rend()) break;
    alone = Apply(alone, *free);
  }
  return alone.sender.unacknowledged() == 0 ? wrong_ : "a frozen receiver holds up the sender";
}

// Whoever owned it took it into the grave.
bool Model::Lost(const Connection& one, const World& world) const {
  if (one.receiver_owns) return world.receiver_life == Life::kDead;
  return world.sender_life == Life::kDead;
}

std::string Model::WrongAtEnd(const World& world) const {
  for (int i = 0; i < options_.connections; ++i) {
    const Connection& one = world.connections[i];
    const bool served = (one.at_sender == Copy::kServes && Alive(world.sender_life)) ||
                        (one.at_receiver == Copy::kServes && Alive(world.receiver_life));
    // What the dead had sent and not taken back lives on, unless the living had refused it.
    const bool adoptable = world.sender_life == Life::kDead && Alive(world.receiver_life) &&
                           one.sent && !one.used_by_sender && !one.refused && !world.revoked_sent &&
                           !world.garbled;
    if (!served && (!Lost(one, world) || adoptable)) return "nobody serves a connection";
    if (served && one.at_sender == Copy::kWaits && Alive(world.sender_life))
      return "a copy at the sender is left over";
    if (served && one.at_receiver == Copy::kWaits && Alive(world.receiver_life))
      return "a copy at the receiver is left over";
    if (Alive(world.sender_life) && one.at_sender == Copy::kWaits) return "one waits for ever";
    if (Alive(world.sender_life) && one.refused && one.came_home != 1)
      return "what was refused did not come home";
  }
  return "";
}

// ---- The search: those with few faults first, within that the shortest.

class Explorer {
 public:
  explicit Explorer(const Options& options) : model_(options) {}

  Finding Run(int faults_max) {
    std::vector<Next> now = {{model_.Start(), kNobody, {}}};
    for (int faults = 0; faults <= faults_max && finding_.wrong.empty(); ++faults) {
      std::vector<Next> costly;
      for (Next& next : now) Visit(std::move(next));
      while (expanded_ < nodes_.size() && finding_.wrong.empty()) Expand(&costly);
      now.swap(costly);
    }
    finding_.states = nodes_.size();
    return finding_;
  }

 private:
  static constexpr uint32_t kNobody = 0xffffffff;
  struct Next {
    World world;
    uint32_t parent;
    Step step;
  };

  void Visit(Next next) {
    if (!finding_.wrong.empty()) return;
    if (!known_.emplace(next.world.Key(), static_cast<uint32_t>(nodes_.size())).second) return;
    nodes_.push_back(std::move(next));
    const std::string wrong = model_.WrongIn(nodes_.back().world);
    if (!wrong.empty()) Blame(wrong, static_cast<uint32_t>(nodes_.size()) - 1);
  }

  void Expand(std::vector<Next>* costly) {
    const uint32_t parent = static_cast<uint32_t>(expanded_++);
    const World world = nodes_[parent].world;
    bool rests = true;
    for (Step step : model_.Steps(world)) {
      World to = model_.Apply(world, step);
      if (!model_.wrong().empty()) {
        nodes_.push_back({to, parent, step});
        return Blame(model_.wrong(), static_cast<uint32_t>(nodes_.size()) - 1);
      }
      ++finding_.steps;
      if (step.cost == 0) rests = false;
      Next next = {std::move(to), parent, step};
      step.cost == 0 ? Visit(std::move(next)) : costly->push_back(std::move(next));
    }
    if (!rests) return;
    const std::string wrong = model_.WrongAtEnd(world);
    if (!wrong.empty()) Blame(wrong, parent);
  }

  void Blame(const std::string& wrong, uint32_t node) {
    if (!finding_.wrong.empty()) return;
    finding_.wrong = wrong;
    std::vector<const char*> lines;
    for (; nodes_[node].parent != kNobody; node = nodes_[node].parent)
      lines.push_back(kNames[nodes_[node].step.kind]);
    finding_.trace_steps = static_cast<int>(lines.size());
    for (size_t i = lines.size(); i > 0; --i)
      absl::StrAppend(&finding_.trace, lines.size() - i + 1, ". ", lines[i - 1], "\n");
    absl::StrAppend(&finding_.trace, "=> ", wrong, "\n");
  }

  Model model_;
  Finding finding_;
  std::vector<Next> nodes_;
  std::unordered_map<std::string, uint32_t> known_;
  size_t expanded_ = 0;
};

}  // namespace

uint8_t Queue::Pop() {
  const uint8_t item = items_[0];
  std::rotate(items_.begin(), items_.begin() + 1, items_.end());
  items_.back() = 0;
  --size_;
  return item;
}

bool Queue::Has(uint8_t item) const {
  return std::find(items_.begin(), items_.begin() + size_, item) != items_.begin() + size_;
}

// All that decides what can follow. What the receiver's machine holds follows from its state, its
// next number and receiver_done.
std::string World::Key() const {
  std::string key;
  const auto add = [&](int value) { key += static_cast<char>(value); };
  add(static_cast<int>(sender.state()));
  add(sender.next_no());
  add(sender.unacknowledged());
  add(static_cast<int>(receiver.state()));
  add(receiver.next_no());
  for (const Connection& one : connections) {
    add(static_cast<int>(one.at_sender) | static_cast<int>(one.at_receiver) << 2 |
        one.came_home << 4);
    add(one.sent | one.receiver_owns << 1 | one.used_by_sender << 2 | one.used_by_receiver << 3 |
        one.refused << 4);
  }
  for (const Queue* queue : {&down, &up, &sender_todo, &receiver_todo}) queue->AppendTo(&key);
  for (const Queue* queue : {&sender_todo, &receiver_todo}) add(queue->empty());
  add(static_cast<int>(sender_life) | static_cast<int>(receiver_life) << 2);
  add(shut_read | sender_closed << 1 | receiver_closed << 2 | revoked_sent << 3 | garbled << 4 |
      death_told_to_sender << 5 | death_told_to_receiver << 6);
  add(refusing | receiver_done << 1);
  return key;
}

Finding Explore(const Options& options, int faults_max) {
  return Explorer(options).Run(faults_max);
}

}  // namespace zdd::migration_model
