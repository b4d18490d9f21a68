#!/usr/bin/env bash
# What is installed is enough to build with: the quickstart is built once with CMake and once with pkg-config and C++17
# alone, then the second replaces the first while requests run.
#
#   install_test.sh INSTALLED_TREE QUICKSTART_CC CMAKELISTS
set -euo pipefail

readonly port=8080
tree=$(realpath "$1")
source=$(realpath "$2")
lists=$(realpath "$3")
folder=$(mktemp --directory)
trap 'stop_all; rm -rf "$folder"' EXIT
export ZDD_RUNTIME_DIR=$folder/run

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

build_with_cmake() {
  mkdir "$folder/project"
  cp "$lists" "$folder/project/CMakeLists.txt"
  cmake -S "$folder/project" -B "$folder/cmake" -DCMAKE_PREFIX_PATH="$tree" -DQUICKSTART="$source"
  cmake --build "$folder/cmake"
  mv "$folder/cmake/quickstart" "$1"
}

build_with_pkg_config() {
  local flags
  read -r -a flags < <(PKG_CONFIG_PATH=$tree/lib/pkgconfig pkg-config --cflags --libs zdd)
  g++ -std=c++17 -Wall -Wextra -Werror "$source" "${flags[@]}" -o "$1"
}

# Prints the body of one answer. The server keeps connections open, so its line ends the exchange.
request() {
  local line connection
  exec {connection}<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$connection"
  while read -r line <&"$connection" && [[ $line != Hello* ]]; do :; done
  exec {connection}>&-
  [[ $line == Hello* ]] && echo "$line"
}

request_until() {
  until [[ $(request 2>/dev/null) == "$1" ]]; do :; done
}

request_while() {
  while [[ -e $1 ]]; do request >>"$folder/answers" || echo lost >>"$folder/answers"; done
}

# The process that runs this very file: a replaced one has another inode.
process_of() {
  local process
  for process in /proc/[0-9]*; do
    if [[ $process/exe -ef $1 ]]; then basename "$process"; fi
  done
}

stop_all() {
  local process
  for process in $(process_of "$folder/quickstart") ${first:-}; do kill -KILL "$process" 2>/dev/null || true; done
}

build_with_cmake "$folder/quickstart"
build_with_pkg_config "$folder/quickstart.new"

"$folder/quickstart" "tcp://127.0.0.1:$port" &
first=$!
request_until 'Hello from generation 1'

touch "$folder/running"
request_while "$folder/running" &
clients=$!
mv "$folder/quickstart.new" "$folder/quickstart"
kill -USR2 "$first"
wait "$first" || fail "generation 1 ended with $?"
request_until 'Hello from generation 2'
rm "$folder/running"
wait "$clients"

second=$(process_of "$folder/quickstart")
[[ $second && $second != "$first" ]] || fail "generation 2 is process '$second', generation 1 was $first"
sort "$folder/answers" | uniq -c
grep -q 'generation 1' "$folder/answers" || fail 'no request was answered before the restart'
if grep -q lost "$folder/answers"; then fail 'requests were lost'; fi
