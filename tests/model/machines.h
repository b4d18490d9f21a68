// Machines gives each HandoffMachine value and each list of effects a number, and remembers what
// the real code answered: the model asks it millions of times the same few thousand questions.
//
// Threads: one. Lifetime: numbers mean something to the Machines that gave them.
#ifndef ZDD_TESTS_MODEL_MACHINES_H_
#define ZDD_TESTS_MODEL_MACHINES_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include "zdd/handoff/handoff_machine.h"

namespace zdd::model {

class Machines {
 public:
  struct Answer {
    uint16_t machine;
    uint16_t effects;
  };

  Machines() { Effects({}); }

  uint16_t Start(Phase phase) { return Intern(HandoffMachine(phase)); }
  const HandoffMachine& Get(uint16_t machine) const { return machines_[machine].value; }
  Phase PhaseOf(uint16_t machine) const { return machines_[machine].value.phase(); }

  // What OnEvent answers.
  Answer OnEvent(uint16_t machine, Event event);
  // Whether it changes anything.
  bool Matters(uint16_t machine, Event event);

  // Number 0 is the empty list.
  uint16_t Effects(const std::vector<Effect>& effects);
  const std::vector<Effect>& GetEffects(uint16_t effects) const { return lists_[effects]; }
  // Without its first; and `first` before `then`.
  uint16_t Tail(uint16_t effects);
  uint16_t Join(uint16_t first, uint16_t then);

 private:
  struct Entry {
    HandoffMachine value;
    std::array<bool, kEventCount> known = {};
    std::array<Answer, kEventCount> answers = {};
  };

  // By its bytes: all of them mean something.
  struct Less {
    bool operator()(const HandoffMachine& a, const HandoffMachine& b) const {
      static_assert(std::has_unique_object_representations_v<HandoffMachine>);
      return std::memcmp(&a, &b, sizeof(a)) < 0;
    }
  };

  uint16_t Intern(const HandoffMachine& machine);

  std::vector<Entry> machines_;
  std::map<HandoffMachine, uint16_t, Less> machine_numbers_;
  std::vector<std::vector<Effect>> lists_;
  std::map<std::vector<Effect>, uint16_t> list_numbers_;
  std::map<std::pair<uint16_t, uint16_t>, uint16_t> joins_;
  std::vector<uint16_t> tails_;
};

}  // namespace zdd::model

#endif  // ZDD_TESTS_MODEL_MACHINES_H_
