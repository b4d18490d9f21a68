// The handoff table as text for people: generated, so that docs cannot drift from the code.
//
//   std::cout << zdd::TableAsMarkdown();
//   std::cout << zdd::TableAsMermaid();     // https://mermaid.js.org/syntax/stateDiagram.html
//
// Threads: any.
#ifndef ZDD_HANDOFF_TABLE_TEXT_H_
#define ZDD_HANDOFF_TABLE_TEXT_H_

#include <string>

#include "zdd/handoff/handoff_table.h"

namespace zdd {

// One table: a row for each (phase, event), with the limit of the phase.
std::string TableAsMarkdown();

// One state diagram; events that lead the same way share an arrow, what stays is left out.
std::string TableAsMermaid();

}  // namespace zdd

#endif  // ZDD_HANDOFF_TABLE_TEXT_H_
