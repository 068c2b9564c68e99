#!/usr/bin/env bash
# The notices that `similis licenses` prints, and the ready cards. Takes no time and says nothing.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
out=$share_dir/licenses
if [ -e "$out/notices.txt" ] && [ "$share_dir/cards" -ef "$repo/models/cards" ] &&
  [ -z "$(find "$repo/packaging" "$share_dir"/web/notices.txt -newer "$out/notices.txt")" ]; then exit 0; fi
"$python" "$repo/packaging/collect_licenses.py" --share "$share_dir" --openvino "$openvino_dir" --out "$out"
link "$repo/models/cards" "$share_dir/cards"
