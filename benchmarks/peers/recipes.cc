#include "benchmarks/peers/recipes.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace zdd {
namespace {

constexpr absl::string_view kMoves = "zdd";
constexpr absl::string_view kGoPath = "/usr/share/gocode";  // of Debian's packages
constexpr absl::string_view kTableflip = "/src/github.com/cloudflare/tableflip";

bool IsThere(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

// From /usr/sbin too, where a user's PATH may not lead.
std::string FindProgram(absl::string_view name) {
  for (absl::string_view folder :
       {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
    const std::string path = absl::StrCat(folder, name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

std::string UserName() {
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? "nobody" : user->pw_name;
}

std::string GroupName() {
  const group* group = getgrgid(getgid());
  return group == nullptr ? "nogroup" : group->gr_name;
}

std::string Template(const Kitchen& kitchen, absl::string_view name) {
  std::ifstream file(absl::StrCat(kitchen.root, "/benchmarks/peers/", name));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string backend_port = kitchen.backend.substr(kitchen.backend.rfind(':') + 1);
  return absl::StrReplaceAll(
      text, {{"@BACKEND_PORT@", backend_port}, {"@USER@", UserName()}, {"@GROUP@", GroupName()}});
}

// As the present user, with all of its files in its directory.
Recipe Nginx(const Kitchen& kitchen) {
  const std::string program = FindProgram("nginx");
  return {
      .name = "nginx",
      .missing = [program] { return program.empty() ? "nginx is not installed" : ""; },
      .words = {program, "-p", "@DIRECTORY@", "-e", "@DIRECTORY@/log", "-c", "@DIRECTORY@/config"},
      .config_template = Template(kitchen, "nginx.conf"),
      .signal = SIGHUP,
      .master = true};
}

Recipe Haproxy(const Kitchen& kitchen, absl::string_view name, absl::string_view idle) {
  const std::string program = FindProgram("haproxy");
  return {
      .name = std::string(name),
      .missing = [program] { return program.empty() ? "haproxy is not installed" : ""; },
      .words = {program, "-W", "-f", "@DIRECTORY@/config", "-p", "@DIRECTORY@/pid"},
      .config_template = absl::StrReplaceAll(Template(kitchen, "haproxy.cfg"), {{"@IDLE@", idle}}),
      .signal = SIGUSR2,
      .master = true};
}

// From Debian's packages alone; nothing is fetched.
std::string BuildTableflipServer(const Kitchen& kitchen, const std::string& program) {
  if (FindProgram("go").empty()) return "go is not installed";
  if (!IsThere(absl::StrCat(kGoPath, kTableflip, "/upgrader.go"))) {
    return "golang-github-cloudflare-tableflip-dev is not installed";
  }
  const std::string log = absl::StrCat(kitchen.directory, "/go.log");
  absl::StatusOr<Program> build = Program::Start(
      {"env", "GO111MODULE=off", absl::StrCat("GOPATH=", kGoPath),
       absl::StrCat("GOCACHE=", kitchen.directory, "/go"), FindProgram("go"), "build", "-o",
       program, absl::StrCat(kitchen.root, "/benchmarks/peers/tableflip_server.go")},
      log);
  if (build.ok() && build->Succeeds()) return "";
  std::ifstream text(log);
  return absl::StrCat("go build failed: ", std::string(std::istreambuf_iterator<char>(text), {}));
}

// One thread for Go code, as the others have one.
Recipe Tableflip(const Kitchen& kitchen) {
  const std::string program = absl::StrCat(kitchen.directory, "/tableflip_server");
  return {.name = "tableflip",
          .missing = [=] { return BuildTableflipServer(kitchen, program); },
          .words = {"env", "GOMAXPROCS=1", program, "--listen=127.0.0.1:@PORT@",
                    "--version_file=@DIRECTORY@/config", "--pid_file=@DIRECTORY@/pid"},
          .config_template = "@VERSION@\n",
          .signal = SIGHUP};
}

// The old version watches the new one for 100 ms, where it could take back the service; after that
// an idle connection that cannot move is closed only after a second more, in which it may ask.
Recipe Zdd(const Kitchen& kitchen, absl::string_view name, absl::string_view migrate) {
  return {.name = std::string(name),
          .words = {absl::StrCat(kitchen.root, "/examples/http_server/http_server"),
                    "--listen=tcp://127.0.0.1:@PORT@", "--version_file=@DIRECTORY@/config",
                    "--pid_file=@DIRECTORY@/pid", "--runtime_dir=@DIRECTORY@/run", "--threads=1",
                    "--standby=100ms", "--spread=100ms", "--grace=1s", std::string(migrate)},
          .config_template = "@VERSION@\n",
          .signal = SIGUSR2};
}

}  // namespace

std::vector<Recipe> Recipes(const Kitchen& kitchen) {
  return {Nginx(kitchen),
          Haproxy(kitchen, "HAProxy", ""),
          Haproxy(kitchen, "HAProxy, idle-close", "option idle-close-on-response"),
          Tableflip(kitchen),
          Zdd(kitchen, kMoves, "--migrate=true"),
          Zdd(kitchen, "zdd, no migration", "--migrate=false")};
}

bool Moves(const std::string& name) { return name == kMoves; }

}  // namespace zdd
