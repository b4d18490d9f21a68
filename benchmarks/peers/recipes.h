// Who is compared, and how each is configured. The files beside this one are the configurations.
//
// Threads: one. Errors: a peer that cannot be had says why in Recipe::missing.
#ifndef BENCHMARKS_PEERS_RECIPES_H_
#define BENCHMARKS_PEERS_RECIPES_H_

#include <string>
#include <vector>

#include "benchmarks/peers/server.h"

namespace zdd {

struct Kitchen {
  std::string root;       // of the repository, or of this program's runfiles
  std::string directory;  // for what is built
  std::string backend;    // tcp://IP:PORT of the server behind nginx and HAProxy
};

// In the order of the table.
std::vector<Recipe> Recipes(const Kitchen& kitchen);

// The one whose connections shall move, and nothing be lost.
bool Moves(const std::string& name);

}  // namespace zdd

#endif  // BENCHMARKS_PEERS_RECIPES_H_
