#!/usr/bin/env bash
# Demo pictures: the stamps of Tux Paint from Debian's archive. `demo.sh plan|do` as in packages.sh.
# demo/pictures is to be indexed; the twelve in demo/queries are held out, so that a search finds others.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
package=tuxpaint-stamps-default
version=2022.06.04-1
sha256=6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
queries=(
  animals/mammals/equines/horse animals/mammals/rodents/rabbit food/fruit/orange hobbies/music/string/violin
  household/Lightbulb household/tools/wrench plants/flowers/daffodil space/planets/3_earth sports/football
  symbols/chess/w_4_knight symbols/money/us/coins/010dime town/roadsigns/stop
)
demo=$repo/demo
[ ! -e "$demo/queries" ] || exit 0
case $1 in
  plan) echo 161 185 30 ;;
  do)
    tmp=$repo/build/demo
    rm -rf "$tmp" "$demo"
    mkdir -p "$tmp/pictures" "$tmp/queries"
    cd "$tmp"
    apt-cache show "$package=$version" >/dev/null 2>&1 ||
      if [ "$(id -u)" = 0 ]; then apt-get update -q; else sudo -n apt-get update -q; fi
    apt-get download -q "$package=$version"
    deb=$(echo "$package"_*.deb)
    echo "$sha256  $deb" | sha256sum -c --quiet
    stamps=./usr/share/tuxpaint/stamps
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -C pictures --strip-components=5 --wildcards "$stamps/*.png" \
        --exclude="$stamps/symbols/alphabets" --exclude="$stamps/symbols/math" --exclude="$stamps/symbols/music" \
        --exclude="$stamps/symbols/shapes" --exclude="$stamps/military"
    for query in "${queries[@]}"; do
      mv "pictures/$query.png" queries/
    done
    dpkg-deb --fsys-tarfile "$deb" | tar -x --strip-components=5 "./usr/share/doc/$package/copyright"
    rm "$deb"
    mkdir "$demo"
    mv pictures copyright queries "$demo/" ;;
esac
