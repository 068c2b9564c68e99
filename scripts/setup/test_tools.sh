#!/usr/bin/env bash
# Python tools of the tests in a virtual environment of the cache. `test_tools.sh plan|do` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
requirements=$repo/tests/requirements.txt
stamp=$test_venv/requirements.sha256
[ -e "$requirements" ] || exit 0
digest=$(sha256sum <"$requirements")
[ "$(cat "$stamp" 2>/dev/null)" != "$digest" ] || exit 0
case $1 in
  plan) echo 110 350 60 ;;
  do)
    rm -rf "$test_venv"
    "$python" -m venv "$test_venv"
    "$test_venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      -r "$requirements"
    echo "$digest" >"$stamp" ;;
esac
