// Who may enter, and what he is told.
#include "examples/websocket_chat/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace chat {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// With the key of RFC 6455, 1.3.
std::string Head(absl::string_view target, absl::string_view key = "dGhlIHNhbXBsZSBub25jZQ==") {
  return absl::StrCat("GET ", target,
                      " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                      key, "\r\n\r\n");
}

void ExpectRefused(const std::string& head) {
  const Handshake handshake = Answer(head);
  EXPECT_FALSE(handshake.ok) << head;
  EXPECT_THAT(handshake.response, StartsWith("HTTP/1.1 400 ")) << head;
}

TEST(HandshakeTest, WhoNamesARoomAndHimselfEnters) {
  const Handshake handshake = Answer(Head("/chat?name=ann&room=kitchen"));
  EXPECT_TRUE(handshake.ok);
  EXPECT_EQ(handshake.room, "kitchen");
  EXPECT_EQ(handshake.name, "ann");
  EXPECT_THAT(handshake.response, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(handshake.response,
              HasSubstr("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
}

TEST(HandshakeTest, WhoDoesNotIsRefused) {
  ExpectRefused(Head("/chat?room=kitchen"));
  ExpectRefused(Head("/chat?room=&name=ann"));
  ExpectRefused(Head("/"));
}

TEST(HandshakeTest, WhatIsNoWebSocketIsRefused) {
  ExpectRefused("GET /chat?room=kitchen&name=ann HTTP/1.1\r\nHost: a\r\n\r\n");
  ExpectRefused(Head("/chat?room=kitchen&name=ann", "short"));
  ExpectRefused("what?\r\n\r\n");
}

}  // namespace
}  // namespace chat
