// The one header to include: see service/service.h, which is the manual, and drain/ticket.h.
#ifndef ZDD_SERVICE_H_
#define ZDD_SERVICE_H_

#include "zdd/drain/close_gently.h"  // IWYU pragma: export
#include "zdd/service/service.h"     // IWYU pragma: export

#endif  // ZDD_SERVICE_H_
