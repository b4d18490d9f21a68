// Bars holds measured figures beside the bars they must clear, and prints both, so that a benchmark
// says by itself whether it is good enough.
//
//   Bars bars("ticket");
//   bars.AtMost("enter + leave, 1 thread", 3.4, 5.0, "ns");      // lower is better
//   bars.AtLeast("calls per second", 2.1e6, 1e6, "/s");          // higher is better
//   bars.Note("machine", cpu_count, "cores");                    // a figure without a bar
//   return bars.Finish(json_path);                               // prints, writes; 0: all are met
//
// Threads: one at a time. Lifetime: a value.
#ifndef BENCHMARKS_UTIL_BARS_H_
#define BENCHMARKS_UTIL_BARS_H_

#include <string>
#include <vector>

namespace zdd {

class Bars {
 public:
  explicit Bars(std::string name);

  void AtMost(std::string figure, double measured, double bar, std::string unit);
  void AtLeast(std::string figure, double measured, double bar, std::string unit);
  void Note(std::string figure, double measured, std::string unit);

  // The table, one line for each figure, and last `bars: N met, M missed`.
  std::string Table() const;
  std::string Json() const;

  // Prints the table; writes the JSON to `json_path`, unless that is empty. What main() returns: 0
  // if every bar is met, 1 if not, 2 if the file cannot be written.
  int Finish(const std::string& json_path) const;

 private:
  enum class Kind { kAtMost, kAtLeast, kNote };
  struct Row {
    std::string figure;
    Kind kind;
    double measured;
    double bar;
    std::string unit;
    bool met() const;
  };

  int missed() const;

  std::string name_;
  std::vector<Row> rows_;
};

// The value of `--json=FILE` among the arguments, or empty.
std::string JsonPathFromArgs(int argc, char** argv);

}  // namespace zdd

#endif  // BENCHMARKS_UTIL_BARS_H_
