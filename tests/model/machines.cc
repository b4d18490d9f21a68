#include "tests/model/machines.h"

namespace zdd::model {

uint16_t Machines::Intern(const HandoffMachine& machine) {
  const auto [it, added] =
      machine_numbers_.emplace(machine, static_cast<uint16_t>(machines_.size()));
  if (added) machines_.push_back({machine});
  return it->second;
}

Machines::Answer Machines::OnEvent(uint16_t machine, Event event) {
  const int index = static_cast<int>(event);
  if (!machines_[machine].known[index]) {
    HandoffMachine next = machines_[machine].value;
    const uint16_t effects = Effects(next.OnEvent(event));
    const uint16_t number = Intern(next);
    machines_[machine].known[index] = true;
    machines_[machine].answers[index] = {number, effects};
  }
  return machines_[machine].answers[index];
}

bool Machines::Matters(uint16_t machine, Event event) {
  const Answer answer = OnEvent(machine, event);
  return answer.machine != machine || answer.effects != 0;
}

uint16_t Machines::Effects(const std::vector<Effect>& effects) {
  const auto [it, added] = list_numbers_.emplace(effects, static_cast<uint16_t>(lists_.size()));
  const uint16_t number = it->second;
  if (added) {
    lists_.push_back(effects);
    tails_.push_back(0);
    if (!effects.empty()) {
      const uint16_t tail = Effects({effects.begin() + 1, effects.end()});
      tails_[number] = tail;
    }
  }
  return number;
}

uint16_t Machines::Tail(uint16_t effects) { return tails_[effects]; }

uint16_t Machines::Join(uint16_t first, uint16_t then) {
  if (first == 0) return then;
  if (then == 0) return first;
  const auto [it, added] = joins_.emplace(std::make_pair(first, then), 0);
  if (added) {
    std::vector<Effect> joined = lists_[first];
    joined.insert(joined.end(), lists_[then].begin(), lists_[then].end());
    const uint16_t number = Effects(joined);
    it->second = number;
  }
  return it->second;
}

}  // namespace zdd::model
