#!/usr/bin/env bash
# Sets up what the tests need and runs them all. Arguments go to pytest.
# Tests on real data look for it in $EDGENAS_SHARED, else in ../shared, and are skipped where it is absent.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_environment pretrained,samples,test
# What importers are compared with. Without its dependencies, which would bring another torch and are not needed.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps -c tools/constraints.txt efficientnet-lite-pytorch timm ofa
# The tests over ssh, in a browser, with databases and of a C++ program are skipped where these cannot be set up: they need Debian's apt.
if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    apt-get -qq update
    for package in openssh-client fish tcsh chromium mariadb-server postgresql g++; do
        apt-get -qq install --no-install-recommends -y "$package" >/dev/null || echo "There is no $package here." >&2
    done
    bash tools/onnxruntime_headers.sh || echo "ONNX Runtime's headers are not to be had here." >&2
fi
if command -v apt-get >/dev/null && [[ -z ${EDGENAS_EMULATED_PI:-} ]]; then
    EDGENAS_EMULATED_PI=${EDGENAS_CACHE:-$HOME/.cache/edgenas}/emulated-pi
    if bash tools/emulated_pi.sh "$EDGENAS_EMULATED_PI"; then export EDGENAS_EMULATED_PI; else unset EDGENAS_EMULATED_PI; fi
fi
.venv/bin/ruff check docs edgenas tests tools
.venv/bin/ruff format --check docs edgenas tests tools
.venv/bin/mypy
# Two workers of one core each, a file's tests in one of them. The folders come in their order, whose long ones are not the last.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
