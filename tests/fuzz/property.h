// ZDD_PROPERTY(condition) ends the process, with the line and the condition, if it does not hold:
// that is how a fuzz target tells libFuzzer of a finding.
#ifndef TESTS_FUZZ_PROPERTY_H_
#define TESTS_FUZZ_PROPERTY_H_

#include <cstdio>
#include <cstdlib>

#define ZDD_PROPERTY(condition)                                                           \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#endif  // TESTS_FUZZ_PROPERTY_H_
