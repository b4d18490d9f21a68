// DrainPlan says how long each step of a drain may take. The defaults suit a server behind a load
// balancer.
//
//   zdd::DrainPlan plan;
//   plan.grace = absl::Seconds(20);              // 10 times what clients think between requests
//   absl::Status valid = zdd::Validate(plan);
//   zdd::FittedPlan fitted = zdd::Fitted(plan);  // what will be done, and what was shortened
//
//   0         delay      + spread   + grace                   -cut_spread  deadline    + linger
//   | accepts | goodbyes |          | busy ones go on         | cuts       | last ones | the end
//             | idle ones close,    | until they are finished |            | may leave |
//             | grace later each    |
//
// Threads: a value. Errors: InvalidArgument, with the field's name and its value.
#ifndef ZDD_DRAIN_PLAN_H_
#define ZDD_DRAIN_PLAN_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace zdd {

// What one kind of work (the name of its listener, or what Service::Enter was given) has of its own
// in a plan; what is not given is the plan's.
struct DrainClass {
  absl::optional<absl::Duration> spread;
  absl::optional<absl::Duration> grace;
  absl::optional<absl::Duration> deadline;
  // False: it hears nothing before its deadline. For work without a goodbye, a job say.
  bool goodbye = true;
};

struct DrainPlan {
  // Lame duck: the service goes on as before while load balancers learn that it is not ready.
  absl::Duration delay = absl::ZeroDuration();
  // The goodbyes are spread evenly over this time, so that the clients do not come back in one
  // wave.
  absl::Duration spread = absl::Seconds(10);
  // How long after its goodbye an idle connection is still served. HTTP/1.1 cannot tell an idle
  // client anything: one that sends just when its connection is closed loses that request, so be
  // generous.
  absl::Duration grace = absl::Seconds(10);
  // From the beginning; what is still there then is closed whatever it does.
  absl::Duration deadline = absl::Seconds(30);
  // The last part of the deadline: the cuts are spread over it.
  absl::Duration cut_spread = absl::Seconds(1);
  // How long those that were cut have to end their tickets before they are named in the report.
  absl::Duration linger = absl::Seconds(2);
  // By the name of the kind; at most kDrainClassesMax - 1.
  std::map<std::string, DrainClass> classes;
};

inline constexpr int kDrainClassesMax = 32;

// Ok if every duration is finite and none is negative.
absl::Status Validate(const DrainPlan& plan);

// The plan for work of that kind: without classes.
DrainPlan PlanOf(const DrainPlan& plan, const std::string& kind);

// Until the drain of the last class ends in any case.
absl::Duration LongestOf(const DrainPlan& plan);

struct FittedPlan {
  DrainPlan plan;
  std::vector<std::string> adjustments;  // "spread shortened from 10s to 4s", for the report
};

// The plan shortened until delay + spread + grace + cut_spread <= deadline, which is never moved:
// spread and grace by the same factor; only where delay and cut_spread alone are too long, these. A
// fitting plan comes back as it is.
FittedPlan Fitted(const DrainPlan& plan);

}  // namespace zdd

#endif  // ZDD_DRAIN_PLAN_H_
