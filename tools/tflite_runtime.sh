#!/usr/bin/env bash
# Installs tflite-runtime for `edgenas verify`, in an environment of its own in the cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_tflite_runtime
