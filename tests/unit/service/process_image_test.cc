#include "zdd/service/process_image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service/spawned.h"
#include "tests/util/fd_audit.h"
#include "tests/util/temp_dir.h"

namespace zdd {
namespace {

class ProcessImageTest : public ::testing::Test {
 protected:
  FdAudit audit_;
  TempDir dir_;

  void Program(const std::string& name, int mode) {
    std::filesystem::create_directories(std::filesystem::path(dir_.File(name)).parent_path());
    std::ofstream(dir_.File(name)) << "#!/bin/sh\n";
    chmod(dir_.File(name).c_str(), mode);
  }
  ProcessImage ImageWith(const std::string& path) {
    ProcessImage image;
    image.environment = {"PATH=" + path};
    image.working_directory = dir_.path();
    return image;
  }
};

TEST_F(ProcessImageTest, TheRecordIsWhatThisProcessWasStartedWith) {
  setenv("ZDD_TEST_VARIABLE", "a=b", 1);
  ProcessImage image = ProcessImage::Record();
  ASSERT_FALSE(image.argv.empty());
  EXPECT_THAT(image.argv[0], ::testing::HasSubstr("process_image_test"));
  EXPECT_EQ(image.Variable("ZDD_TEST_VARIABLE"), "a=b");
  EXPECT_EQ(image.Variable("ZDD_TEST_VARI"), absl::nullopt);
  EXPECT_TRUE(std::filesystem::equivalent(image.working_directory, "."));
}

TEST_F(ProcessImageTest, TheDirectoryKeepsASymlinkThatPwdNames) {
  std::filesystem::create_directory(dir_.File("v1"));
  std::filesystem::create_symlink("v1", dir_.File("current"));
  std::string physical = std::filesystem::canonical(dir_.File("v1"));
  EXPECT_EQ(InFork([&] {
              if (chdir(dir_.File("current").c_str()) != 0) return 1;
              setenv("PWD", dir_.File("current").c_str(), 1);
              if (ProcessImage::Record().working_directory != dir_.File("current")) return 2;
              setenv("PWD", "/", 1);  // a lie
              if (ProcessImage::Record().working_directory != physical) return 3;
              unsetenv("PWD");
              return ProcessImage::Record().working_directory == physical ? 0 : 4;
            }),
            0);
}

TEST_F(ProcessImageTest, AGoneDirectoryIsNotInvented) {
  std::filesystem::create_directory(dir_.File("gone"));
  EXPECT_EQ(InFork([&] {
              if (chdir(dir_.File("gone").c_str()) != 0 || rmdir(dir_.File("gone").c_str()) != 0)
                return 1;
              return ProcessImage::Record().working_directory.empty() ? 0 : 2;
            }),
            0);
}

TEST_F(ProcessImageTest, WhoIsMovedHasAPwdThatIsTrue) {
  ProcessImage image;
  image.environment = {"OLDPWD=/a", "PWD=/a/b", "HOME=/"};
  image.MoveTo("/srv/current");
  EXPECT_EQ(image.working_directory, "/srv/current");
  EXPECT_EQ(image.Variable("PWD"), "/srv/current");
  EXPECT_EQ(image.Variable("OLDPWD"), "/a");
  image.environment = {"HOME=/"};
  image.MoveTo("/srv/current");
  EXPECT_EQ(image.environment.size(), 1);
}

TEST_F(ProcessImageTest, TheFirstOfTwoVariablesCounts) {
  ProcessImage image;
  image.environment = {"A=1", "A=2", "broken"};
  EXPECT_EQ(image.Variable("A"), "1");
  EXPECT_EQ(image.Variable("broken"), absl::nullopt);
}

TEST_F(ProcessImageTest, AWordWithASlashIsTakenFromTheDirectory) {
  ProcessImage image = ImageWith("/bin");
  EXPECT_EQ(ResolveProgram("/opt/x", image), "/opt/x");
  EXPECT_EQ(ResolveProgram("./x", image), dir_.File("x"));
  EXPECT_EQ(ResolveProgram("bin/x", image), dir_.File("bin/x"));
  EXPECT_EQ(ResolveProgram("../x", image), dir_.File("../x"));
  image.working_directory = "/";
  EXPECT_EQ(ResolveProgram("./x", image), "/x");
}

TEST_F(ProcessImageTest, AWordWithoutOneIsTheFirstExecutableInPath) {
  Program("a/server", 0644);  // not executable: passed over, as execvp does
  Program("b/server", 0755);
  Program("c/server", 0755);
  std::filesystem::create_directories(dir_.File("d/server"));
  std::string path = dir_.File("none") + ":" + dir_.File("d") + ":" + dir_.File("a") + ":" +
                     dir_.File("b") + ":" + dir_.File("c");
  EXPECT_EQ(ResolveProgram("server", ImageWith(path)), dir_.File("b/server"));
  EXPECT_EQ(ResolveProgram("other", ImageWith(path)), "");
}

TEST_F(ProcessImageTest, RelativeAndEmptyPartsOfPathMeanTheDirectory) {
  Program("here", 0755);
  Program("sub/there", 0755);
  EXPECT_EQ(ResolveProgram("here", ImageWith("/none:")), dir_.File("here"));
  EXPECT_EQ(ResolveProgram("there", ImageWith("sub")), dir_.File("sub/there"));
}

TEST_F(ProcessImageTest, SymlinksStayUnresolved) {
  Program("v1/server", 0755);
  std::filesystem::create_symlink("v1", dir_.File("current"));
  EXPECT_EQ(ResolveProgram("server", ImageWith(dir_.File("current"))), dir_.File("current/server"));
}

TEST_F(ProcessImageTest, WithoutPathTheSystemsOwnPlacesAreSearched) {
  EXPECT_EQ(ResolveProgram("sh", ProcessImage{}), "/bin/sh");
}

TEST_F(ProcessImageTest, WithoutADirectoryNothingRelativeIsFound) {
  ProcessImage image;
  image.environment = {"PATH=.::bin"};
  EXPECT_EQ(ResolveProgram("./server", image), "");
  EXPECT_EQ(ResolveProgram("sh", image), "") << "the root is not the directory";
  EXPECT_EQ(ResolveProgram("", image), "");
}

}  // namespace
}  // namespace zdd
