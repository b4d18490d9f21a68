#include "examples/websocket_chat/frames.h"

#include <cstdint>

namespace chat {
namespace {

bool IsKnown(int opcode) { return opcode <= 1 || (opcode >= 8 && opcode <= 10); }

uint64_t BigEndian(absl::string_view bytes) {
  uint64_t number = 0;
  for (unsigned char byte : bytes) number = number << 8 | byte;
  return number;
}

}  // namespace

Took TakeFrame(absl::string_view* input, Frame* frame) {
  if (input->size() < 2) return Took::kNeedMore;
  const int first = static_cast<unsigned char>((*input)[0]);
  const int second = static_cast<unsigned char>((*input)[1]);
  const bool control = (first & 0x08) != 0;
  if ((first & 0x70) != 0 || !IsKnown(first & 0x0f)) return Took::kWrong;
  if ((second & 0x80) == 0) return Took::kWrong;  // a client masks
  const int length = second & 0x7f;
  if (control && ((first & 0x80) == 0 || length > 125)) return Took::kWrong;
  const size_t length_bytes = length == 127 ? 8 : length == 126 ? 2 : 0;
  const size_t head_bytes = 2 + length_bytes + 4;
  if (input->size() < head_bytes) return Took::kNeedMore;
  const uint64_t size = length_bytes == 0 ? length : BigEndian(input->substr(2, length_bytes));
  if (size > kMessageBytesMax) return Took::kWrong;
  if (input->size() < head_bytes + size) return Took::kNeedMore;
  const absl::string_view mask = input->substr(head_bytes - 4, 4);
  frame->opcode = static_cast<Opcode>(first & 0x0f);
  frame->last = (first & 0x80) != 0;
  frame->payload = std::string(input->substr(head_bytes, size));
  for (size_t i = 0; i < size; ++i) frame->payload[i] ^= mask[i % 4];
  input->remove_prefix(head_bytes + size);
  return Took::kFrame;
}

std::string MakeFrame(Opcode opcode, absl::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | static_cast<int>(opcode)));
  const size_t size = payload.size();
  if (size < 126) {
    frame.push_back(static_cast<char>(size));
  } else {
    frame.push_back(size < 0x10000 ? 126 : 127);
    for (int shift = size < 0x10000 ? 8 : 56; shift >= 0; shift -= 8) {
      frame.push_back(static_cast<char>(uint64_t{size} >> shift));
    }
  }
  frame.append(payload.data(), payload.size());
  return frame;
}

std::string MakeClose(int code) {
  const char bytes[] = {static_cast<char>(code >> 8), static_cast<char>(code)};
  return MakeFrame(Opcode::kClose, {bytes, 2});
}

}  // namespace chat
