#include "benchmarks/util/bars.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace zdd {
namespace {

// Four significant digits, no exponent: "3.421", "0.5", "100000".
std::string Number(double value) {
  if (value == 0 || !std::isfinite(value)) return absl::StrFormat("%g", value);
  const int digits = std::max(0, 3 - static_cast<int>(std::floor(std::log10(std::fabs(value)))));
  std::string text = absl::StrFormat("%.*f", digits, value);
  if (digits == 0) return text;
  text.erase(text.find_last_not_of('0') + 1);
  return std::string(absl::StripSuffix(text, "."));
}

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

Bars::Bars(std::string name) : name_(std::move(name)) {}

bool Bars::Row::met() const {
  switch (kind) {
    case Kind::kAtMost:
      return measured <= bar;
    case Kind::kAtLeast:
      return measured >= bar;
    case Kind::kNote:
      return true;
  }
  return true;
}

void Bars::AtMost(std::string figure, double measured, double bar, std::string unit) {
  rows_.push_back({std::move(figure), Kind::kAtMost, measured, bar, std::move(unit)});
}

void Bars::AtLeast(std::string figure, double measured, double bar, std::string unit) {
  rows_.push_back({std::move(figure), Kind::kAtLeast, measured, bar, std::move(unit)});
}

void Bars::Note(std::string figure, double measured, std::string unit) {
  rows_.push_back({std::move(figure), Kind::kNote, measured, 0, std::move(unit)});
}

int Bars::missed() const {
  return static_cast<int>(
      std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return !row.met(); }));
}

std::string Bars::Table() const {
  size_t width = 0;
  for (const Row& row : rows_) width = std::max(width, row.figure.size());
  std::string table;
  int barred = 0;
  for (const Row& row : rows_) {
    absl::StrAppendFormat(&table, "%-*s  %10s %-6s", static_cast<int>(width), row.figure,
                          Number(row.measured), row.unit);
    if (row.kind != Kind::kNote) {
      ++barred;
      absl::StrAppendFormat(&table, "  bar: %s %s %s  %s",
                            row.kind == Kind::kAtMost ? "<=" : ">=", Number(row.bar), row.unit,
                            row.met() ? "met" : "MISSED");
    }
    absl::StrAppend(&table, "\n");
  }
  absl::StrAppend(&table, "bars: ", barred - missed(), " met, ", missed(), " missed\n");
  return table;
}

std::string Bars::Json() const {
  std::string json = absl::StrCat("{\"benchmark\": ", Quoted(name_), ", \"figures\": [");
  absl::string_view separator = "\n";
  for (const Row& row : rows_) {
    absl::StrAppend(&json, separator, "  {\"name\": ", Quoted(row.figure),
                    ", \"measured\": ", Number(row.measured), ", \"unit\": ", Quoted(row.unit));
    if (row.kind != Kind::kNote) {
      absl::StrAppend(&json, ", \"bar\": ", Number(row.bar),
                      ", \"better\": ", row.kind == Kind::kAtMost ? "\"lower\"" : "\"higher\"",
                      ", \"met\": ", row.met() ? "true" : "false");
    }
    absl::StrAppend(&json, "}");
    separator = ",\n";
  }
  return absl::StrCat(json, "\n]}\n");
}

int Bars::Finish(const std::string& json_path) const {
  std::fputs(Table().c_str(), stdout);
  if (!json_path.empty()) {
    std::ofstream file(json_path);
    file << Json();
    file.close();
    if (!file) {
      std::fprintf(stderr, "write %s: failed\n", json_path.c_str());
      return 2;
    }
  }
  return missed() == 0 ? 0 : 1;
}

std::string JsonPathFromArgs(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--json=")) return std::string(argument);
  }
  return "";
}

}  // namespace zdd
