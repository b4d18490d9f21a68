#include "examples/http_server/request_head.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>

#include "absl/strings/match.h"

namespace example {
namespace {

namespace http = boost::beast::http;
using Error = boost::beast::error_code;
using Fields = http::request_header<>;

absl::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// What Beast's parser takes although RFC 9112 (3.2, 6.1) tells servers to refuse it.
bool IsFaulty(const Fields& fields, bool chunked) {
  if (fields.version() == 10) return fields.count(http::field::transfer_encoding) > 0;
  return fields.count(http::field::host) != 1 ||
         (fields.count(http::field::transfer_encoding) > 0 && !chunked);
}

int StatusOf(Error error) {
  if (error == http::error::bad_version) return 505;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  return 400;
}

}  // namespace

int ParseHead(absl::string_view bytes, RequestHead* head) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kHeadBytesMax);
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  Error error;
  parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error) return StatusOf(error);
  const Fields& fields = parser.get();
  head->method = std::string(View(fields.method_string()));
  head->target = std::string(View(fields.target()));
  head->minor = fields.version() == 10 ? 0 : 1;
  if (IsFaulty(fields, parser.chunked())) return 400;
  head->keep_alive = parser.get().keep_alive();
  head->chunked = parser.chunked();
  head->body_bytes = parser.content_length().value_or(0);
  if (head->minor == 0) return 0;  // it can neither wait nor switch
  head->upgrade = std::string(View(fields[http::field::upgrade]));
  head->expects_continue =
      absl::EqualsIgnoreCase(View(fields[http::field::expect]), "100-continue");
  return 0;
}

}  // namespace example
