// BodyDigest is what POST /upload answers about a body that it never holds: its length, and its
// FNV-1a hash of 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
//
//   BodyDigest digest;
//   digest.Update("hel");
//   digest.Update("lo");
//   digest.ToText();       // "5\na430d84680aabd0b\n"
//
// Threads: a value.
#ifndef EXAMPLES_HTTP_SERVER_BODY_DIGEST_H_
#define EXAMPLES_HTTP_SERVER_BODY_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace example {

struct BodyDigest {
  uint64_t bytes = 0;
  uint64_t hash = 0xcbf29ce484222325;

  void Update(absl::string_view piece) {
    bytes += piece.size();
    for (unsigned char byte : piece) hash = (hash ^ byte) * 0x100000001b3;
  }

  // The length in decimal on the first line, the hash as 16 hexadecimal digits on the second.
  std::string ToText() const { return absl::StrFormat("%d\n%016x\n", bytes, hash); }
};

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_BODY_DIGEST_H_
