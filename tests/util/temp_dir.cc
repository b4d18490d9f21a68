#include "tests/util/temp_dir.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace zdd {

TempDir::TempDir() {
  char name[] = "/tmp/zdd-XXXXXX";
  if (mkdtemp(name) != nullptr) path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> TempDir::List() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace zdd
