# What the machine must have before anything is begun; sourced by ./run and ./test.
# shellcheck shell=bash disable=SC2154 # `repo` is set by paths.sh

refuse() {
  printf 'similis: %s\n' "$*" >&2
  exit 3
}

check_machine() {
  [ "$(uname -sm)" = 'Linux x86_64' ] || refuse "this is $(uname -sm); the model runtime is for Linux on x86-64 only."
  command -v apt-get >/dev/null || refuse "there is no apt-get. Set-up is made for Debian 12: run it there or in a container."
  grep -qw sse4_2 /proc/cpuinfo || refuse "the processor has no SSE4.2, which the model runtime needs."
  local version
  version=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
  [ "$version" = 'debian 12' ] || echo "Note: this is ${version}; set-up is tried on Debian 12, package names may differ here."
}

# check_memory: only before a build.
check_memory() {
  local available
  available=$(awk '/^MemAvailable/ { print int($2 / 1000) }' /proc/meminfo)
  [ "$available" -ge 1300 ] || refuse "$available MB of memory are free; building needs 1,300 MB. Close something or add swap."
}

# check_disk MB FOLDER [as-root]: FOLDER may not exist yet.
check_disk() {
  local folder=$2 free
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  [ -w "$folder" ] || [ "${3:-}" = as-root ] || refuse "$folder is not writable by $(id -un)."
  free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$1" ] || refuse "$folder has $free MB free, $1 MB are needed. Make room there."
}

# check_network: a route out or a proxy, before anything is fetched. What it can't see fails in its step.
check_network() {
  if [ -n "${http_proxy:-}${https_proxy:-}${HTTP_PROXY:-}${HTTPS_PROXY:-}${ALL_PROXY:-}" ]; then return; fi
  if apt-config dump 2>/dev/null | grep -qi '^Acquire::https\?::Proxy '; then return; fi
  awk '$2 == "00000000" { found = 1 } END { exit !found }' /proc/net/route 2>/dev/null && return
  awk '$1 ~ /^0+$/ && $2 == "00" && $10 != "lo" { found = 1 } END { exit !found }' /proc/net/ipv6_route 2>/dev/null && return
  refuse "the network is down (no default route), and $1 MB have to be fetched. Connect and start again."
}

# require_root LIST...: Debian packages need root, or a sudo that may be used.
require_root() {
  if [ "$(id -u)" = 0 ]; then return; fi
  local names
  names=$(bash "$repo/scripts/setup/packages.sh" missing "$@")
  if command -v sudo >/dev/null; then
    if sudo -n true 2>/dev/null; then return; fi
    if [ -t 0 ] && [ -t 1 ] && sudo -v; then return; fi
  fi
  printf 'similis: Debian packages are missing, and %s may not install them. As root:\n\n' "$(id -un)" >&2
  printf 'apt-get update && apt-get install -y --no-install-recommends %s\n\n' "$names" >&2
  printf 'Then start this again.\n' >&2
  exit 3
}
