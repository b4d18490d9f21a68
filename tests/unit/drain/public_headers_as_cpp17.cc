// The headers that an embedder includes must compile as C++17 (see BUILD.bazel: that is all this
// file is for).
#include "zdd/drain/ask.h"
#include "zdd/drain/close_gently.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/http2_goodbye.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/websocket_goodbye.h"

static_assert(__cplusplus < 202002L, "compile this with -std=c++17");
