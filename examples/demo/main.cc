// The demo: a server is replaced ten times, then by versions that fail, while clients of many kinds
// use it. At the end it says what they saw; the exit code is 1 if they lost anything.
//
//   bazel build -c opt //examples/http_server //examples/demo
//   bazel-bin/examples/demo/demo --server=bazel-bin/examples/http_server/http_server
#include <stdio.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/demo/deployment.h"
#include "examples/demo/guard.h"
#include "examples/demo/screen.h"
#include "examples/demo/story.h"
#include "examples/demo/summary.h"

ABSL_FLAG(std::string, server, "", "the http_server to show; it is copied");
ABSL_FLAG(std::string, json, "", "a file for the findings");
ABSL_FLAG(int, restarts, 10, "how many versions follow the first one");
ABSL_FLAG(bool, short, false, "take 8 seconds instead of 20: 3 restarts, unless told otherwise");

namespace {

constexpr int kBriefRestarts = 3;

// What clients must not wait for: see Options of zdd. Clients think for 100 ms; the grace is ten
// times that.
std::vector<std::string> ServerFlags(bool brief) {
  return {"--threads=2",    "--standby=500ms",
          "--spread=200ms", "--grace=1s",
          "--silence=1s",   absl::StrCat("--ready_timeout=", brief ? "500ms" : "1s")};
}

demo::StoryOptions Options() {
  demo::StoryOptions options = {absl::GetFlag(FLAGS_restarts), absl::GetFlag(FLAGS_short)};
  if (options.brief && options.restarts == 10) options.restarts = kBriefRestarts;
  return options;
}

int Fail(const absl::Status& status, const std::string& log) {
  fprintf(stderr, "\ndemo: %s\n%s%s\n", std::string(status.message()).c_str(),
          log.empty() ? "" : "the end of the server's log:\n", log.c_str());
  return 1;
}

bool Write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << "\n";
  return file.good();
}

int Perform(const std::string& directory) {
  demo::Screen screen;
  const demo::StoryOptions options = Options();
  absl::StatusOr<demo::Deployment> server =
      demo::Deployment::Create({.program = absl::GetFlag(FLAGS_server),
                                .directory = directory,
                                .flags = ServerFlags(options.brief)});
  if (!server.ok()) return Fail(server.status(), "");
  const absl::StatusOr<demo::Summary> summary = demo::Tell(options, &*server, &screen);
  screen.Progress("");
  if (!summary.ok()) return Fail(summary.status(), server->LogTail());
  fputs(summary->ToText().c_str(), stdout);
  const std::string json = absl::GetFlag(FLAGS_json);
  if (!json.empty() && !Write(json, summary->ToJson())) {
    return Fail(absl::UnavailableError(absl::StrCat("write ", json)), "");
  }
  return summary->lost() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Replaces a server under load, and says what its clients saw.");
  absl::ParseCommandLine(argc, argv);
  const std::string program = absl::GetFlag(FLAGS_server);
  if (access(program.c_str(), X_OK) != 0) {
    fprintf(stderr, "demo: --server=%s: no program\n", program.c_str());
    return 2;
  }
  if (absl::GetFlag(FLAGS_restarts) < 1) {
    fprintf(stderr, "demo: --restarts: at least 1\n");
    return 2;
  }
  return demo::RunGuarded(Perform);
}
