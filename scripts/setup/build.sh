#!/usr/bin/env bash
# The program. `build.sh plan|do PRESET` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
preset=$2
build=$repo/build/$preset

case $1 in
  plan)
    if [ ! -e "$build/build.ninja" ] || [ ! -e "$build/similis" ]; then
      echo 0 150 $((900 / $(nproc)))
      exit
    fi
    # New and vanished source files first, then whether ninja has anything to do.
    [ ! -e "$build/CMakeFiles/VerifyGlobs.cmake" ] || cmake -P "$build/CMakeFiles/VerifyGlobs.cmake" >/dev/null
    ninja -C "$build" -n | grep -q 'no work to do' || echo 0 0 20 ;;
  do)
    # A compile takes up to 1.2 GB: fewer at a time than there are cores where memory is short.
    memory=$(awk '/^MemAvailable/ { print int($2 / 1200000) }' /proc/meminfo)
    jobs=$(nproc)
    if [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 1 ? memory : 1)); fi
    cd "$repo"
    # Another compiler than ours may warn of other things; that must not stop a user's build.
    [ "$preset" != release ] || werror=-DSIMILIS_WERROR=OFF
    cmake --preset "$preset" -DSIMILIS_OPENVINO_DIR="$openvino_dir" ${werror:+"$werror"}
    cmake --build "$build" -j "$jobs" ;;
esac
