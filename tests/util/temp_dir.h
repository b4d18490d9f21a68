// TempDir is a directory of the test's own, with a name so short that a Unix socket fits in it
// ($TEST_TMPDIR is longer than the 107 bytes of sun_path). Removed with all its files at the end.
//
//   TempDir dir;
//   Address::Parse("unix://" + dir.File("x.sock"));
#ifndef TESTS_UTIL_TEMP_DIR_H_
#define TESTS_UTIL_TEMP_DIR_H_

#include <string>
#include <vector>

namespace zdd {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // The names of what is in it, sorted.
  std::vector<std::string> List() const;

 private:
  std::string path_;
};

}  // namespace zdd

#endif  // TESTS_UTIL_TEMP_DIR_H_
