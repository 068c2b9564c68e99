#!/usr/bin/env bash
# clang-tidy over the sources and what measures them (not their tests) by the list in .clang-tidy: lint.sh [FILE_REGEX]. Needs build/dev.
set -euo pipefail
cd "$(dirname "$0")/.."
log=build/logs/lint.log
mkdir -p build/logs
# GCC 12's own warning flags mean nothing to clang.
if run-clang-tidy-19 -quiet -p build/dev -j "$(nproc)" -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-deprecated-declarations \
  -extra-arg=-Wno-missing-field-initializers \
  "${1:-/(src|bench)/.*(?<!_test)\.cc$}" >"$log" 2>&1; then
  files=$(grep -c '^\[' "$log") || true  # grep fails where it counts none: judged below
  echo "lint: nothing found in $files files"
  [ "$files" -gt 0 ]
else
  grep -E '(warning|error):' "$log" | sort -u
  echo "lint: the whole log is $log" >&2
  exit 1
fi
