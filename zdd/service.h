// The one header to include: see service/service.h, which is the manual.
#ifndef ZDD_SERVICE_H_
#define ZDD_SERVICE_H_

#include "zdd/service/service.h"  // IWYU pragma: export

#endif  // ZDD_SERVICE_H_
