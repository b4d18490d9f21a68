#include "tests/model/explorer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/model/invariants.h"

namespace zdd::model {
namespace {

constexpr uint32_t kNobody = 0xffffffff;
constexpr size_t kStatesMax = 30'000'000;

uint64_t Hash(const World& world) {
  uint64_t hash = 0x9e3779b97f4a7c15;
  const unsigned char* bytes = reinterpret_cast<const unsigned char*>(&world);
  for (size_t i = 0; i + 4 <= sizeof(World); i += 4) {
    uint32_t word;
    std::memcpy(&word, bytes + i, sizeof(word));
    hash = (hash ^ word) * 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  return hash;
}

uint64_t Entry(uint64_t hash, uint32_t node) { return (hash >> 32 << 32) | (node + 1); }
uint32_t NumberIn(uint64_t entry) { return static_cast<uint32_t>(entry) - 1; }

}  // namespace

size_t Finding::state_count() const {
  size_t sum = 0;
  for (size_t count : states) sum += count;
  return sum;
}

std::string Finding::Trace() const {
  std::string text;
  for (size_t i = 0; i < trace.size(); ++i) absl::StrAppend(&text, i + 1, ". ", trace[i], "\n");
  return absl::StrCat(text, "=> ", wrong, "\n");
}

std::string Finding::Summary() const {
  return absl::StrCat(state_count(), " states, ", steps, " steps, up to ", states.size() - 1,
                      " faults (", absl::StrJoin(states, " + "), ")");
}

// Where this world is in the table, or the free place for it. An entry holds a number and half of a
// hash, so that nearly no other world has to be looked at.
size_t Explorer::Slot(const World& world, uint64_t hash) const {
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  while (table_[slot] != 0 &&
         !(table_[slot] >> 32 == hash >> 32 && nodes_[NumberIn(table_[slot])].world == world))
    slot = (slot + 1) & mask;
  return slot;
}

uint32_t Explorer::Find(const World& world) const {
  const uint64_t entry = table_[Slot(world, Hash(world))];
  return entry == 0 ? kNobody : NumberIn(entry);
}

void Explorer::Grow() {
  table_.assign(std::max<size_t>(1024, table_.size() * 2), 0);
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    const uint64_t hash = Hash(nodes_[node].world);
    table_[Slot(nodes_[node].world, hash)] = Entry(hash, node);
  }
}

// False: this world is wrong.
bool Explorer::Visit(const World& world, uint32_t parent, Step step) {
  if (nodes_.size() * 2 >= table_.size()) Grow();
  const uint64_t hash = Hash(world);
  const size_t slot = Slot(world, hash);
  if (table_[slot] != 0) return true;
  table_[slot] = Entry(hash, static_cast<uint32_t>(nodes_.size()));
  nodes_.push_back({world, parent, step});
  std::string wrong = WrongIn(model_, world);
  if (wrong.empty() && nodes_.size() > kStatesMax) wrong = "too many states";
  if (wrong.empty()) return true;
  Blame(wrong, static_cast<uint32_t>(nodes_.size()) - 1);
  return false;
}

Finding Explorer::Explore(int faults_max) {
  finding_ = Finding();
  nodes_.clear();
  table_.clear();
  expanded_ = 0;
  std::vector<Candidate> now, next;
  bool well = Visit(model_.Start(), kNobody, {});
  for (int faults = 0; well && faults <= faults_max; ++faults) {
    const size_t before = faults == 0 ? 0 : nodes_.size();
    for (const Candidate& one : now)
      if (well)
        well = Visit(model_.Apply(nodes_[one.parent].world, one.step), one.parent, one.step);
    next.clear();
    well = well && ExploreLevel(&next, faults < faults_max);
    now.swap(next);
    finding_.states.push_back(nodes_.size() - before);
  }
  if (well) LookForEnds();
  return finding_;
}

// Follows what costs nothing; what costs a fault is kept for the next level.
bool Explorer::ExploreLevel(std::vector<Candidate>* next, bool more) {
  for (; expanded_ < nodes_.size(); ++expanded_) {
    const World world = nodes_[expanded_].world;
    const uint32_t parent = static_cast<uint32_t>(expanded_);
    for (const Step& step : model_.Steps(world)) {
      if (step.cost != 0) {
        if (more) next->push_back({parent, step});
        continue;
      }
      ++finding_.steps;
      if (!Visit(model_.Apply(world, step), parent, step)) return false;
    }
  }
  return true;
}

std::vector<Step> Explorer::FreeSteps(uint32_t node) const {
  std::vector<Step> steps = model_.Steps(nodes_[node].world);
  steps.erase(std::remove_if(steps.begin(), steps.end(), [](Step step) { return step.cost != 0; }),
              steps.end());
  return steps;
}

void Explorer::LookForEnds() {
  std::vector<Color> colors(nodes_.size(), Color::kWhite);
  for (uint32_t root = 0; root < nodes_.size(); ++root) {
    if (colors[root] == Color::kWhite && !EndsWellFrom(root, &colors)) return;
  }
}

// Depth first over the steps that cost nothing.
bool Explorer::EndsWellFrom(uint32_t root, std::vector<Color>* colors) {
  struct Frame {
    uint32_t node;
    size_t next;
    std::vector<Step> steps;
  };
  std::vector<Frame> stack;
  const auto enter = [&](uint32_t node) {
    (*colors)[node] = Color::kGrey;
    stack.push_back({node, 0, FreeSteps(node)});
    if (!stack.back().steps.empty()) return true;
    const std::string wrong = WrongAtEnd(model_, nodes_[node].world);
    if (!wrong.empty()) Blame(wrong, node);
    return wrong.empty();
  };
  if (!enter(root)) return false;
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.next == top.steps.size()) {
      (*colors)[top.node] = Color::kBlack;
      stack.pop_back();
      continue;
    }
    const Step step = top.steps[top.next++];
    const uint32_t to = Find(model_.Apply(nodes_[top.node].world, step));
    if ((*colors)[to] == Color::kGrey) return BlameCycle(top.node, step, to), false;
    if ((*colors)[to] == Color::kWhite && !enter(to)) return false;
  }
  return true;
}

void Explorer::Blame(const std::string& wrong, uint32_t node) {
  finding_.wrong = wrong;
  finding_.trace.clear();
  for (; nodes_[node].parent != kNobody; node = nodes_[node].parent) {
    const Node& one = nodes_[node];
    finding_.trace.push_back(model_.Describe(nodes_[one.parent].world, one.step, one.world));
  }
  std::reverse(finding_.trace.begin(), finding_.trace.end());
}

void Explorer::BlameCycle(uint32_t node, Step step, uint32_t back_to) {
  Blame("this goes round for ever", node);
  finding_.trace.push_back(model_.Describe(nodes_[node].world, step, nodes_[back_to].world));
}

}  // namespace zdd::model
