#!/usr/bin/env bash
# Writes tools/requirements.lock: every pin of tools/constraints.txt with the SHA-256 of its files on PyPI.
# torch is left out: its builds for a CPU or a GPU are different files, and whoever installs it chooses one. After it:
#     pip install --require-hashes --no-deps -r tools/requirements.lock
# It needs `pip install -c tools/constraints.txt -e '.[release]'`, and the internet.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
grep -v '^torch==' tools/constraints.txt > "$pins"
{
    echo "# Made by tools/lock.sh from tools/constraints.txt: the same versions, with the SHA-256 of their files."
    "$uv" pip compile --quiet --no-config --no-deps --generate-hashes --no-annotate --no-header --python-version 3.11.9 "$pins"
} > tools/requirements.lock.new
mv tools/requirements.lock.new tools/requirements.lock
