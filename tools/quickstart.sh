#!/usr/bin/env bash
# From a fresh checkout to verified model files: makes .venv, installs EdgeNAS into it, runs `edgenas quickstart`.
# Arguments go to `edgenas quickstart`. PYTHON names the interpreter to use, 3.11 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
images=samples
[[ " $* " == *" --photos"* ]] && images=pretrained
make_environment "$images,report,tensorboard"
exec .venv/bin/edgenas quickstart "$@"
