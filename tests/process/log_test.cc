// Whoever reads the log is stuck: the service goes on, and so does an upgrade.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "absl/strings/match.h"
#include "tests/load/load_client.h"
#include "tests/process/lineage.h"
#include "zdd/base/owned_fd.h"

namespace zdd {
namespace {

TEST(LogTest, AFullPipeOnStderrHoldsNobodyUp) {
  Lineage lineage({"listen http tcp://127.0.0.1:0"});
  const std::string path = lineage.dir().File("stderr");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const OwnedFd pipe(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const std::string much(4096, 'x');
  while (write(pipe.get(), much.data(), much.size()) > 0) {
  }
  const pid_t first = lineage.StartFirst({"version v1", "stderr " + path});
  LoadOptions options;
  options.address = lineage.Address();
  options.groups = {{.kind = LoadKind::kNew, .connections = 4, .rate = 200},
                    {.kind = LoadKind::kKeepAlive, .connections = 4, .rate = 200}};
  auto load = LoadClient::Start(options).value();
  lineage.Script({"version v2", "stderr " + path});
  lineage.Signal(first, SIGUSR2);
  const pid_t second = lineage.Await("test.started").pid;
  lineage.Await("phase.serving", second);
  EXPECT_EQ(lineage.AwaitExit(first), 0);
  EXPECT_TRUE(load->AwaitVersion("v2", Lineage::kLong));
  const LoadReport report = load->Stop();
  EXPECT_EQ(report.lost(), 0) << report.ToTable() << lineage.History();

  std::string text(1 << 16, 0);
  ASSERT_GT(read(pipe.get(), text.data(), text.size()), 0);  // the reader comes back
  lineage.Signal(second, SIGTERM);
  lineage.Await("test.ended", second);
  text.resize(read(pipe.get(), text.data(), text.size()));
  EXPECT_TRUE(absl::StrContains(text, "lines before this one were dropped")) << text;
}

}  // namespace
}  // namespace zdd
