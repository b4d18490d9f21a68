// Program runs somebody else's client and reads what it prints.
//
//   Program h2load("/usr/bin/h2load", "nghttp2-client", "-n 400 http://127.0.0.1:8080/");
//   EXPECT_EQ(h2load.AwaitExit(), 0) << h2load.output();
//
// One that is not installed is a failure of the test, which names the Debian package.
//
// Threads: the test's.
#ifndef TESTS_GOODBYE_PROGRAM_H_
#define TESTS_GOODBYE_PROGRAM_H_

#include <cstdio>
#include <string>

namespace zdd {

class Program {
 public:
  // Runs it by a shell, beside the test.
  Program(const std::string& path, const std::string& package, const std::string& arguments);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Waits for the next line of its output; empty at the end.
  std::string Line();
  // Its exit status; -1 if it could not be run.
  int AwaitExit();
  // Standard output and error, as far as it was read.
  const std::string& output() const { return output_; }

 private:
  FILE* pipe_ = nullptr;
  int status_ = -1;
  std::string output_;
};

}  // namespace zdd

#endif  // TESTS_GOODBYE_PROGRAM_H_
