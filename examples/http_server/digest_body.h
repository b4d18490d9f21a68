// DigestBody is a Body of Boost.Beast for requests of any size: each piece goes into a BodyDigest
// as it comes, and none is kept.
//
//   http::request_parser<DigestBody> parser;
//   http::read(socket, buffer, parser);
//   parser.get().body().bytes;
#ifndef EXAMPLES_HTTP_SERVER_DIGEST_BODY_H_
#define EXAMPLES_HTTP_SERVER_DIGEST_BODY_H_

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstdint>

#include "examples/http_server/body_digest.h"

namespace example {

struct DigestBody {
  using value_type = BodyDigest;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& digest) : digest_(digest) {}

    void init(const boost::optional<uint64_t>&, boost::beast::error_code& error) { error = {}; }

    template <class Buffers>
    size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      size_t size = 0;
      for (boost::asio::const_buffer piece : boost::beast::buffers_range_ref(buffers)) {
        digest_.Update({static_cast<const char*>(piece.data()), piece.size()});
        size += piece.size();
      }
      return size;
    }

    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    value_type& digest_;
  };
};

}  // namespace example

#endif  // EXAMPLES_HTTP_SERVER_DIGEST_BODY_H_
