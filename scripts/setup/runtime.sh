#!/usr/bin/env bash
# The model runtime: OpenVINO's C++ SDK from its Python wheel into the cache. `runtime.sh plan|do` as in packages.sh.
set -euo pipefail
. "$(dirname "$0")/paths.sh"
[ ! -e "$openvino_dir/openvino/cmake/OpenVINOConfig.cmake" ] || exit 0
case $1 in
  plan) echo 57 115 15 ;;
  do)
    mkdir -p "$cache_dir"
    tmp=$(mktemp -d "$cache_dir/.openvino-XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    # The SDK is the same in every Python's wheel; one is pinned, whichever Python runs here.
    fetch_wheels openvino "$tmp" --implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64
    # Left out: what drives GPUs and NPUs, the tool's tuning cache, and the Python package itself.
    unzip -q "$tmp"/openvino-*.whl 'openvino/cmake/*' 'openvino/include/*' 'openvino/libs/*' '*.dist-info/*' \
      -x '*_gpu_plugin.so' '*_npu_plugin.so' '*/cache.json' -d "$tmp/sdk"
    rm -rf "$openvino_dir"
    mv "$tmp/sdk" "$openvino_dir" ;;
esac
