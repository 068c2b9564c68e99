# Where things lie; sourced by the other scripts.
# shellcheck shell=bash disable=SC2034 # used by those that source this
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache_dir=${SIMILIS_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/similis}
data_dir=${SIMILIS_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/similis}
share_dir=$repo/build/share/similis # what a binary in build/PRESET/ finds as ../share/similis
openvino_dir=$cache_dir/openvino-2026.4.1
binary=$repo/build/release/similis
test_venv=$cache_dir/test-venv
python=/usr/bin/python3 # Debian's, whatever else is on the PATH

# A sha256 over the names and contents of the files whose names come on stdin, ended by NUL.
digest_files() { LC_ALL=C sort -z | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1; }

# Puts a symbolic link in place of an older one.
link() { mkdir -p "$(dirname "$2")" && ln -sfn "$1" "$2"; }

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Fetches the wheels that a pins file names into a folder; pip refuses one whose SHA-256 differs.
fetch_wheels() {
  local pins=$1 into=$2
  shift 2
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    -r "$repo/scripts/setup/pins/$pins.txt" -d "$into" "$@"
}
