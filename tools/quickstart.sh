#!/usr/bin/env bash
# From a fresh checkout to verified model files: makes .venv, installs EdgeNAS into it, runs `edgenas quickstart`.
# Arguments go to `edgenas quickstart`. PYTHON names the interpreter to use, 3.11 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_environment samples
out=(--out runs/quickstart)
[[ " $* " == *" --out"* ]] && out=()
exec .venv/bin/edgenas quickstart "${out[@]}" "$@"
