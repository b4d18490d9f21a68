#include "zdd/drain/plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace zdd {
namespace {

absl::Status CheckField(absl::string_view name, absl::Duration value) {
  absl::string_view fault;
  if (value < absl::ZeroDuration()) fault = "negative";
  if (value == absl::InfiniteDuration() || value == -absl::InfiniteDuration()) fault = "infinite";
  if (fault.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("drain plan: ", name, " is ", fault, " (",
                                                 absl::FormatDuration(value),
                                                 "), give a length of time from 0 on"));
}

// Shortens `*value` to `factor` of it, in whole milliseconds, and notes that.
void Shorten(absl::string_view name, double factor, absl::Duration* value, FittedPlan* fitted) {
  if (*value == absl::ZeroDuration()) return;
  const absl::Duration shorter = absl::Floor(*value * factor, absl::Milliseconds(1));
  fitted->adjustments.push_back(absl::StrCat(
      name, " shortened from ", absl::FormatDuration(*value), " to ", absl::FormatDuration(shorter),
      " to fit the deadline of ", absl::FormatDuration(fitted->plan.deadline)));
  *value = shorter;
}

}  // namespace

absl::Status Validate(const DrainPlan& plan) {
  const std::pair<absl::string_view, absl::Duration> fields[] = {
      {"delay", plan.delay},       {"spread", plan.spread},         {"grace", plan.grace},
      {"deadline", plan.deadline}, {"cut_spread", plan.cut_spread}, {"linger", plan.linger},
  };
  for (const auto& [name, value] : fields) {
    absl::Status status = CheckField(name, value);
    if (!status.ok()) return status;
  }
  if (plan.classes.size() >= kDrainClassesMax) {
    return absl::InvalidArgumentError(absl::StrCat("drain plan: too many classes (",
                                                   plan.classes.size(), "), at most ",
                                                   kDrainClassesMax - 1));
  }
  for (const auto& [kind, own] : plan.classes) {
    if (kind.empty()) {
      return absl::InvalidArgumentError(
          "drain plan: a class without a name, give that of a listener or of Service::Enter");
    }
    const std::pair<absl::string_view, absl::optional<absl::Duration>> own_fields[] = {
        {"spread", own.spread}, {"grace", own.grace}, {"deadline", own.deadline}};
    for (const auto& [name, value] : own_fields) {
      absl::Status status =
          CheckField(absl::StrCat("classes[\"", kind, "\"].", name), value.value_or(plan.linger));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

DrainPlan PlanOf(const DrainPlan& plan, const std::string& kind) {
  DrainPlan of = plan;
  of.classes.clear();
  auto own = plan.classes.find(kind);
  if (own == plan.classes.end()) return of;
  of.spread = own->second.spread.value_or(plan.spread);
  of.grace = own->second.grace.value_or(plan.grace);
  of.deadline = own->second.deadline.value_or(plan.deadline);
  return of;
}

absl::Duration LongestOf(const DrainPlan& plan) {
  absl::Duration longest = plan.deadline;
  for (const auto& [kind, own] : plan.classes)
    longest = std::max(longest, own.deadline.value_or(plan.deadline));
  return longest + plan.linger;
}

FittedPlan Fitted(const DrainPlan& given) {
  FittedPlan fitted{given, {}};
  DrainPlan& plan = fitted.plan;
  const absl::Duration outer = plan.delay + plan.cut_spread;
  const absl::Duration inner = plan.spread + plan.grace;
  if (outer + inner <= plan.deadline) return fitted;

  if (outer > plan.deadline) {
    const double factor = absl::FDivDuration(plan.deadline, outer);
    Shorten("delay", factor, &plan.delay, &fitted);
    Shorten("cut_spread", factor, &plan.cut_spread, &fitted);
  }
  if (inner > absl::ZeroDuration()) {
    const absl::Duration room = std::max(absl::ZeroDuration(), plan.deadline - outer);
    const double factor = absl::FDivDuration(room, inner);
    Shorten("spread", factor, &plan.spread, &fitted);
    Shorten("grace", factor, &plan.grace, &fitted);
  }
  return fitted;
}

}  // namespace zdd
