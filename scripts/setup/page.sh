#!/usr/bin/env bash
# The web page. `page.sh plan|do` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
[ -e "$repo/web/package-lock.json" ] || exit 0
stamp=$repo/build/page.stamp
cd "$repo/web"
digest=$(find . ../docs/openapi.yaml \( -name node_modules -o -name dist -o -name test-results \) -prune -o -type f -print0 |
  digest_files)
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && [ -e dist/index.html ] && [ "$share_dir/web" -ef dist ]; then exit 0; fi
case $1 in
  plan) if [ -d node_modules ]; then echo 0 0 10; else echo 40 150 40; fi ;;
  do)
    version=$(node -p process.versions.node)
    [ "${version%%.*}" -ge 18 ] || die "node is version $version; the page needs 18 or newer"
    # What npm installed stays until the lock file asks for something else.
    lock=$(sha256sum package-lock.json)
    if [ "$(cat node_modules/.lock.sha256 2>/dev/null)" != "$lock" ]; then
      # Nothing the page needs is built on installation; one package would report it to its maker.
      npm ci --no-audit --no-fund --ignore-scripts
      echo "$lock" >node_modules/.lock.sha256
    fi
    npm run build
    link "$PWD/dist" "$share_dir/web"
    mkdir -p "$(dirname "$stamp")"
    echo "$digest" >"$stamp" ;;
esac
