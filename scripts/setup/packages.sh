#!/usr/bin/env bash
# Debian packages: `packages.sh plan|do|missing LIST...`, LIST a name like run, page or test (packages-LIST.txt).
#   plan     "FETCH_MB DISK_MB SECONDS COUNT" from apt, or nothing when all are installed
#   do       installs what is missing; as root, or with a sudo that does not ask
#   missing  their names in one line
set -euo pipefail
. "$(dirname "$0")/paths.sh"
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
verb=$1
shift

node_is_there() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]
}

wanted() {
  local list
  for list in "$@"; do
    if [ "$list" = page ] && node_is_there; then continue; fi
    sed 's/#.*//' "$repo/scripts/setup/packages-$list.txt"
  done | tr -s ' \n' '\n' | grep . | sort -u
}

missing() {
  local names
  mapfile -t names < <(wanted "$@")
  # A name that dpkg has never heard of makes dpkg-query fail and is missing all the same.
  { dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${names[@]}" 2>/dev/null || true; } |
    awk '$1 == "installed" { print $2 }' | sort -u | comm -13 - <(printf '%s\n' "${names[@]}")
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# apt's own lists may be empty (a fresh container) or older than the archive.
update() {
  local try
  for try in 1 2 3; do
    if as_root apt-get update -q; then return; fi
    sleep $((try * 3))
  done
  die "apt-get update failed three times"
}

mapfile -t names < <(missing "$@")
[ ${#names[@]} -gt 0 ] || exit 0
case $verb in
  missing) echo "${names[*]}" ;;
  plan)
    # Without apt's lists (a fresh container) there are no sums; the count is then that of the names asked for.
    { apt-get -o Debug::NoLocking=true --print-uris -y --no-install-recommends install "${names[@]}" 2>&1 || true; } |
      awk -v asked=${#names[@]} '
        function mb(number, unit) {
          gsub(",", "", number)
          sub("/.*", "", unit)
          return number * (unit == "kB" ? 0.001 : unit == "GB" ? 1000 : unit == "B" ? 0 : 1)
        }
        / newly installed/ { count = $3 }
        /^Need to get/ { fetch = mb($4, $5) }
        /additional disk space/ { disk = mb($4, $5) }
        END { printf "%d %d %d %d\n", fetch, disk, 15 + fetch / 6 + count / 3, count ? count : asked }' ;;
  do)
    apt-cache show "${names[@]}" >/dev/null 2>&1 || update
    install=(apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${names[@]}")
    mapfile -t added < <(apt-get -o Debug::NoLocking=true -s --no-install-recommends install "${names[@]}" |
      sed -n 's/^Inst \([^ ]*\).*/\1/p')
    # A package that is gone from the archive means that the lists are old.
    if ! as_root "${install[@]}"; then
      update
      as_root "${install[@]}"
    fi
    mkdir -p "$cache_dir"
    printf '%s\n' "${added[@]}" >>"$cache_dir/installed-packages" ;;
  *) die "packages.sh: unknown verb $verb" ;;
esac
