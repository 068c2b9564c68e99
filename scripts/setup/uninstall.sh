#!/usr/bin/env bash
# Deletes what set-up left: ./run --uninstall [--yes]. Debian packages are named, not removed.
set -euo pipefail
. "$(dirname "$0")/paths.sh"

if [ -e "$data_dir/lock" ] && ! flock -n "$data_dir/lock" true; then
  die "similis: it is running on $data_dir. Stop it with ^C first, then start ./run --uninstall again."
fi

# By name: the data directory may be a folder that holds other things too.
found=()
for path in "$repo"/{build,similis,demo,web/dist,web/node_modules} \
  "$cache_dir"/{models,openvino-*,test-venv,installed-packages} \
  "$data_dir"/{similis.db*,collections,blobs,thumbs,models,compiled,spool,lock,similis.sock}; do
  [ ! -e "$path" ] || found+=("$path")
done
uploads=$(find "$data_dir/blobs" -type f 2>/dev/null | wc -l)
packages=()
if [ -e "$cache_dir/installed-packages" ]; then
  mapfile -t packages < <(sort -u "$cache_dir/installed-packages")
fi

if [ ${#found[@]} = 0 ]; then
  echo "There is nothing to delete."
else
  echo "This will be deleted (the pictures in your folders stay):"
  for path in "${found[@]}"; do
    printf '  %8s  %s\n' "$(du -sh "$path" | cut -f1)" "$path"
  done
  [ "$uploads" = 0 ] || echo "Among it $uploads uploaded pictures, which are nowhere else: copy $data_dir/blobs to keep them."
  if [ "${1:-}" != --yes ]; then
    [ -t 0 ] || die "similis: there is no terminal to ask on. Add --yes to delete without asking."
    read -r -p "Delete all of it? [y/N] " answer
    [[ $answer =~ ^[Yy] ]] || die "Nothing was deleted."
  fi
  rm -rf -- "${found[@]}"
  # A folder that was never made is no failure: what had to go is gone.
  rmdir --ignore-fail-on-non-empty "$cache_dir" "$data_dir" 2>/dev/null || true
  echo "Deleted."
fi
if [ ${#packages[@]} -gt 0 ]; then
  printf '\nSet-up installed %s Debian packages. If nothing else uses them:\n\nsudo apt-get remove --autoremove %s\n' \
    ${#packages[@]} "${packages[*]}"
fi
