#!/usr/bin/env bash
# The web page. `page.sh plan|do [test]` as in packages.sh; `test` also gets what its tests need and checks its types.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
[ -e "$repo/web/package-lock.json" ] || exit 0
for_tests=${2:-}
stamp=$repo/build/page.stamp
cd "$repo/web"
digest=$(find . ../docs/openapi.yaml \( -name node_modules -o -name dist -o -name test-results \) -prune -o -type f -print0 |
  digest_files)
lock=$(sha256sum <package-lock.json)
# What npm installed stays until the lock file asks for something else; the first word says whether tests can run.
tools=$(cat node_modules/.set-up 2>/dev/null || true)
if [ "$for_tests" ]; then dev=include script=build; else dev=omit script=bundle; fi
has_tools() { [ "$tools" = "test $lock" ] || { [ ! "$for_tests" ] && [ "$tools" = "run $lock" ]; }; }
if has_tools && [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && [ -e dist/index.html ] && [ "$share_dir/web" -ef dist ]; then
  exit 0
fi
case $1 in
  plan) if has_tools; then echo 0 0 10; else echo 20 90 40; fi ;;
  do)
    version=$(node -p process.versions.node)
    [ "${version%%.*}" -ge 18 ] || die "node is version $version; the page needs 18 or newer"
    if ! has_tools; then
      # Nothing the page needs is built on installation; one package would report it to its maker.
      npm ci --no-audit --no-fund --ignore-scripts "--$dev=dev"
      echo "${for_tests:-run} $lock" >node_modules/.set-up
    fi
    npm run $script
    link "$PWD/dist" "$share_dir/web"
    mkdir -p "$(dirname "$stamp")"
    echo "$digest" >"$stamp" ;;
esac
