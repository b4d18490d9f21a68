// Explorer visits every world that a model can reach with so many faults, those with few faults
// first, and within that by the number of steps: what it finds wrong it shows by a shortest trace.
//
//   Explorer explorer(&model);
//   Finding finding = explorer.Explore(/*faults_max=*/5);
//   EXPECT_EQ(finding.wrong, "") << finding.Trace();
//
// Then it asks for ends: with everybody awake and no further fault each world must come to rest,
// that is, the steps that cost nothing have no cycle, and where they end all is as it should be.
//
// Threads: one. Lifetime: the model outlives it.
#ifndef ZDD_TESTS_MODEL_EXPLORER_H_
#define ZDD_TESTS_MODEL_EXPLORER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/model.h"

namespace zdd::model {

struct Finding {
  std::string wrong;               // empty: nothing
  std::vector<std::string> trace;  // a sentence per step
  std::vector<size_t> states;      // by the number of faults that they need
  size_t steps = 0;

  size_t state_count() const;
  std::string Trace() const;    // numbered lines, and what is wrong at their end
  std::string Summary() const;  // "12,345 states with up to 5 faults (...)"
};

class Explorer {
 public:
  explicit Explorer(Model* model) : model_(*model) {}

  Finding Explore(int faults_max);

 private:
  struct Node {
    World world;
    uint32_t parent;
    Step step;
  };
  struct Candidate {
    uint32_t parent;
    Step step;
  };

  uint32_t Find(const World& world) const;
  bool Visit(const World& world, uint32_t parent, Step step);
  void Grow();
  size_t Slot(const World& world, uint64_t hash) const;

  bool ExploreLevel(std::vector<Candidate>* next, bool more);
  enum class Color : uint8_t { kWhite, kGrey, kBlack };

  void LookForEnds();
  bool EndsWellFrom(uint32_t root, std::vector<Color>* colors);
  std::vector<Step> FreeSteps(uint32_t node) const;
  void Blame(const std::string& wrong, uint32_t node);
  void BlameCycle(uint32_t node, Step step, uint32_t back_to);

  Model& model_;
  Finding finding_;
  std::vector<Node> nodes_;
  std::vector<uint64_t> table_;  // open addressing; 0 is free
  size_t expanded_ = 0;
};

}  // namespace zdd::model

#endif  // ZDD_TESTS_MODEL_EXPLORER_H_
