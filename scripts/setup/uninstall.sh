#!/usr/bin/env bash
# Deletes what set-up left: ./run --uninstall [--yes]. Debian packages are named, not removed.
set -euo pipefail
. "$(dirname "$0")/paths.sh"

if [ -e "$data_dir/lock" ] && ! flock -n "$data_dir/lock" true; then
  die "similis: it is running on $data_dir. Stop it with ^C first, then start ./run --uninstall again."
fi

found=()
for path in "$repo/build" "$repo/similis" "$repo/demo" "$repo/web/dist" "$repo/web/node_modules" "$cache_dir" "$data_dir"; do
  [ ! -e "$path" ] || found+=("$path")
done
packages=()
if [ -e "$cache_dir/installed-packages" ]; then
  mapfile -t packages < <(sort -u "$cache_dir/installed-packages")
fi

if [ ${#found[@]} = 0 ]; then
  echo "There is nothing to delete."
else
  echo "This will be deleted (your pictures stay):"
  for path in "${found[@]}"; do
    printf '  %8s  %s\n' "$(du -sh "$path" | cut -f1)" "$path"
  done
  if [ "${1:-}" != --yes ]; then
    [ -t 0 ] || die "similis: there is no terminal to ask on. Add --yes to delete without asking."
    read -r -p "Delete all of it? [y/N] " answer
    [[ $answer =~ ^[Yy] ]] || die "Nothing was deleted."
  fi
  rm -rf -- "${found[@]}"
  echo "Deleted."
fi
if [ ${#packages[@]} -gt 0 ]; then
  printf '\nSet-up installed %s Debian packages. If nothing else uses them:\n\nsudo apt-get remove --autoremove %s\n' \
    ${#packages[@]} "${packages[*]}"
fi
