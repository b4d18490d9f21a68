// Clients that others wrote, over HTTP/2, while the server replaces itself: each request is
// answered.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/goodbye/program.h"
#include "tests/goodbye/restarted_server.h"
#include "zdd/base/owned_fd.h"
#include "zdd/drain/http2_frames.h"
#include "zdd/drain/http2_goodbye.h"

namespace zdd {
namespace {

constexpr char kServer[] = "tests/goodbye/server";
constexpr uint8_t kData = 0x0;  // RFC 9113 6.1

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string Url(const RestartedServer& server) {
  return absl::StrCat("http://127.0.0.1:", server.port(), "/");
}

// gRPC's client repeats by itself, on another connection, what a GOAWAY says was not begun.
TEST(Http2Test, NoCallOfGrpcFailsOverThreeGenerations) {
  RestartedServer server(kServer, {"http2"}, {});
  const pid_t first = server.StartFirst();
  Program calls("/usr/bin/python3", "python3-grpcio",
                absl::StrCat("tests/goodbye/grpc_calls.py ", server.port(), " 3"));
  ASSERT_EQ(calls.Line(), "begun\n") << "is the Debian package python3-grpcio there?";
  const pid_t second = server.Replace(first, 2);
  const pid_t third = server.Replace(second, 3);
  EXPECT_EQ(calls.AwaitExit(), 0);
  EXPECT_TRUE(absl::StrContains(calls.output(), "\nerrors: 0\n")) << calls.output();
  for (int generation : {1, 2, 3}) {
    EXPECT_TRUE(absl::StrContains(calls.output(), absl::StrCat("generation ", generation, ": ")))
        << calls.output();
  }
  server.Stop(third);
}

// What h2load has begun when it hears the goodbye is answered. (What it has not begun then it
// counts as failed: it makes no second connection. So all is begun at once here.)
TEST(Http2Test, EveryStreamInFlightIsAnswered) {
  RestartedServer server(kServer, {"http2"}, {"2s"});
  const pid_t first = server.StartFirst();
  Program h2load("/usr/bin/h2load", "nghttp2-client", "-n 1600 -c 32 -m 50 " + Url(server));
  server.AwaitConnections(first, 32);
  const pid_t second = server.Replace(first, 2);
  EXPECT_EQ(h2load.AwaitExit(), 0);
  EXPECT_TRUE(absl::StrContains(h2load.output(),
                                "requests: 1600 total, 1600 started, 1600 done, 1600 succeeded, "
                                "0 failed, 0 errored, 0 timeout"))
      << h2load.output();
  server.Stop(second);
}

TEST(Http2Test, AClientHearsBothGoAwaysAndTheEndOfTheConnection) {
  RestartedServer server(kServer, {"http2"}, {"2s"});
  const pid_t first = server.StartFirst();
  Program nghttp("/usr/bin/nghttp", "nghttp2-client", "-nv -m 20 --no-dep " + Url(server));
  server.AwaitConnections(first, 1);
  const pid_t second = server.Replace(first, 2);
  EXPECT_EQ(nghttp.AwaitExit(), 0);
  const std::string& heard = nghttp.output();
  const size_t announcement = heard.find("(last_stream_id=2147483647, error_code=NO_ERROR");
  const size_t ping = heard.find("recv PING frame", announcement);
  const size_t second_ping = heard.find("recv PING frame", ping + 1);
  const size_t last = heard.find("(last_stream_id=39, error_code=NO_ERROR", second_ping);
  const size_t answer = heard.find(":status: 200", last);
  EXPECT_NE(answer, std::string::npos) << heard;  // found, behind all the others
  EXPECT_EQ(Count(heard, "recv GOAWAY frame"), 2u) << heard;
  EXPECT_EQ(Count(heard, ":status: 200"), 20u) << heard;
  server.Stop(second);
}

// Debian 12's curl reuses no connection that was made with prior knowledge; so a request each.
TEST(Http2Test, NoRequestOfCurlFails) {
  RestartedServer server(kServer, {"http2"}, {"100ms"});
  const pid_t first = server.StartFirst();
  std::vector<std::unique_ptr<Program>> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(std::make_unique<Program>(
        "/usr/bin/curl", "curl",
        "--version >/dev/null; for i in $(seq 10); do "
        "curl --http2-prior-knowledge --silent --show-error --output /dev/null "
        "--write-out '%{http_version} %{http_code}\\n' " +
            Url(server) + " 2>&1; done"));
  }
  server.AwaitConnections(first, 1);
  const pid_t second = server.Replace(first, 2);
  for (const std::unique_ptr<Program>& curl : all) {
    EXPECT_EQ(curl->AwaitExit(), 0);
    std::string all_well;
    for (int i = 0; i < 10; ++i) all_well += "2 200\n";
    EXPECT_EQ(curl->output(), all_well);
  }
  server.Stop(second);
}

// ---- A client that does not do as it is told

// One connection, frame by frame. It acknowledges nothing by itself.
class DeafClient {
 public:
  explicit DeafClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = {.sin_family = AF_INET,
                                 .sin_port = htons(static_cast<uint16_t>(port)),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const timeval limit = {30, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Http2FrameBytes(kSettings, 0, 0, ""));
  }

  void Begin(uint32_t stream) {  // a GET, by HPACK's static table; END_STREAM and END_HEADERS
    Send(Http2FrameBytes(kHttp2Headers, 0x5, stream, "\x82\x84\x86"));
  }
  // The payload of the next frame of `type`, behind what was heard before; "end" at the end.
  std::string Hear(uint8_t type, uint32_t stream) {
    while (true) {
      const std::string header = Read(9);
      if (header.size() < 9) return header + "end";
      const auto byte = [&](size_t i) { return static_cast<uint8_t>(header[i]); };
      const std::string payload = Read(byte(0) << 16 | byte(1) << 8 | byte(2));
      if (byte(3) == type && byte(8) == stream) return payload;
    }
  }

 private:
  static constexpr uint8_t kSettings = 0x4;

  void Send(const std::string& bytes) {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string Read(size_t size) {
    std::string bytes(size, '\0');
    const ssize_t read = recv(fd_.get(), bytes.data(), size, MSG_WAITALL);
    EXPECT_GE(read, 0) << "errno " << errno;
    bytes.resize(std::max<ssize_t>(read, 0));
    return bytes;
  }

  OwnedFd fd_;
};

TEST(Http2Test, ARequestThatComesTooLateIsNotServedAndThoseBeforeAre) {
  RestartedServer server(kServer, {"http2"}, {"8s"});
  const pid_t first = server.StartFirst();
  DeafClient client(server.port());
  client.Begin(1);
  server.AwaitConnections(first, 1);
  std::thread replace([&] { server.Stop(server.Replace(first, 2)); });
  const std::string no_error(4, '\0');
  EXPECT_EQ(client.Hear(kHttp2GoAway, 0), Http2Number(kHttp2StreamIdMax) + no_error);
  EXPECT_EQ(client.Hear(kHttp2Ping, 0).size(), 8u);
  client.Begin(3);  // it crossed that, as far as the server knows
  EXPECT_EQ(client.Hear(kHttp2GoAway, 0), Http2Number(3) + no_error);
  client.Begin(5);
  for (uint32_t stream : {1, 3}) EXPECT_NE(client.Hear(kData, stream), "end");
  EXPECT_EQ(client.Hear(kHttp2Headers, 5), "end");
  replace.join();
}

}  // namespace
}  // namespace zdd
