// Bodies in pieces of any size come out whole, and what is no body is refused.
#include "examples/http_server/body_framing.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace example {
namespace {

struct Taken {
  std::string body;
  std::string left;
  bool right = true;
  bool done = false;
};

// `bytes` come in pieces of `size`; the framing is copied between any two, as if it had moved.
Taken Take(BodyFraming framing, absl::string_view bytes, size_t size) {
  Taken taken;
  for (size_t at = 0; at < bytes.size() && taken.right; at += size) {
    absl::StrAppend(&taken.left, bytes.substr(at, size));
    absl::string_view input = taken.left;
    BodyFraming moved = {framing.part, framing.left};
    taken.right =
        moved.Take(&input, [&](absl::string_view piece) { absl::StrAppend(&taken.body, piece); });
    taken.left = std::string(input);
    framing = moved;
  }
  taken.done = framing.done();
  return taken;
}

TEST(BodyFramingTest, TakesWhatTheLengthSaysAndNoMore) {
  for (size_t size = 1; size < 12; ++size) {
    const Taken taken = Take(BodyFraming::Fixed(5), "helloGET /", size);
    EXPECT_TRUE(taken.right && taken.done);
    EXPECT_EQ(taken.body, "hello");
    EXPECT_EQ(taken.left, "GET /");
  }
  EXPECT_TRUE(BodyFraming::Fixed(0).done());
  EXPECT_FALSE(Take(BodyFraming::Fixed(5), "hell", 2).done);
}

TEST(BodyFramingTest, TakesChunksWithExtensionsAndTrailers) {
  constexpr absl::string_view kBytes =
      "3\r\nhel\r\n00A ;x=\"y\"\r\nlo, chunks\r\n0\r\nTrailer: z\r\nOther: y\r\n\r\nGET /";
  for (size_t size = 1; size <= kBytes.size(); ++size) {
    const Taken taken = Take(BodyFraming::Chunked(), kBytes, size);
    EXPECT_TRUE(taken.right && taken.done) << size;
    EXPECT_EQ(taken.body, "hello, chunks");
    EXPECT_EQ(taken.left, "GET /");
  }
  EXPECT_TRUE(Take(BodyFraming::Chunked(), "0\r\n\r\n", 1).done);
}

TEST(BodyFramingTest, RefusesWhatIsNoChunk) {
  for (absl::string_view bytes : {"\r\n", "x\r\n", "-1\r\n", "+1\r\n", " 1\r\n", "0x1\r\n",
                                  ";x\r\n", "1\r\nabc", "1\r\na\n", "fffffffffffffffff\r\n"}) {
    for (size_t size = 1; size <= bytes.size(); ++size) {
      EXPECT_FALSE(Take(BodyFraming::Chunked(), bytes, size).right) << bytes;
    }
  }
}

TEST(BodyFramingTest, HoldsNoEndlessLine) {
  const std::string endless(BodyFraming::kTrailerBytesMax + 1, '1');
  EXPECT_FALSE(Take(BodyFraming::Chunked(), endless, endless.size()).right);
  EXPECT_FALSE(Take(BodyFraming::Chunked(), "0\r\n" + endless, 1 << 20).right);
}

}  // namespace
}  // namespace example
