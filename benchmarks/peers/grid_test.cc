#include "benchmarks/peers/grid.h"

#include <gtest/gtest.h>

namespace zdd {
namespace {

TEST(GridTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(MarkdownTable({{"", "nginx", "zdd"}, {"failed", "61 of 1,000", "0"}}),
            "|        |       nginx | zdd |\n"
            "| ------ | ----------: | --: |\n"
            "| failed | 61 of 1,000 |   0 |\n");
}

TEST(GridTest, ShortRowsAreFilled) {
  EXPECT_EQ(MarkdownTable({{"a", "b"}, {"c"}}),
            "| a   |   b |\n"
            "| --- | --: |\n"
            "| c   |     |\n");
}

TEST(GridTest, NothingIsNothing) { EXPECT_EQ(MarkdownTable({}), ""); }

}  // namespace
}  // namespace zdd
