// MarkdownTable writes rows of cells as a table of Markdown, with columns as wide as they need to
// be: a person reads it in a terminal as well.
//
//   MarkdownTable({{"", "nginx", "zdd"}, {"failed", "61", "0"}})
//
// Threads: any; pure. Errors: none.
#ifndef BENCHMARKS_PEERS_GRID_H_
#define BENCHMARKS_PEERS_GRID_H_

#include <string>
#include <vector>

namespace zdd {

// The first row is the head; the first column is set left, the others right. Rows may be short.
std::string MarkdownTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_GRID_H_
