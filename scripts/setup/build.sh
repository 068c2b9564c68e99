#!/usr/bin/env bash
# The program. `build.sh plan|do PRESET` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
preset=$2
build=$repo/build/$preset
built=$build/built
sources=(CMakeLists.txt CMakePresets.json cmake src bench tests)

case $1 in
  plan)
    if [ ! -e "$build/build.ninja" ] || [ ! -e "$build/similis" ]; then
      echo 0 150 $((900 / $(nproc)))
      exit
    fi
    # Ninja itself would have to look for new files first, and a dry run of it ends there. A folder
    # is as new as the last file that was made or deleted in it.
    [ -e "$built" ] && [ -z "$(cd "$repo" && find "${sources[@]}" -newer "$built" -print -quit)" ] ||
      echo 0 0 20 ;;
  do)
    # A compile takes up to 1.2 GB: fewer at a time than there are cores where memory is short.
    memory=$(awk '/^MemAvailable/ { print int($2 / 1200000) }' /proc/meminfo)
    jobs=$(nproc)
    if [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 1 ? memory : 1)); fi
    cd "$repo"
    mkdir -p "$build"
    touch "$built.new"  # what changes from here on may not be in the build
    # Another compiler than ours may warn of other things; that must not stop a user's build.
    [ "$preset" != release ] || werror=-DSIMILIS_WERROR=OFF
    cmake --preset "$preset" -DSIMILIS_OPENVINO_DIR="$openvino_dir" ${werror:+"$werror"}
    cmake --build "$build" -j "$jobs"
    mv "$built.new" "$built" ;;
esac
