#!/usr/bin/env bash
# Makes the site in docs/_build: open docs/_build/index.html. A warning is a failure. Arguments go to sphinx-build.
# It needs `pip install -c tools/constraints.txt -e '.[docs]'`; PYTHON names the interpreter that has it.
set -euo pipefail
cd "$(dirname "$0")/.."
default=.venv/bin/python
[[ -x $default ]] || default=python3
exec "${PYTHON:-$default}" -m sphinx --fail-on-warning --keep-going --quiet --fresh-env "$@" docs docs/_build
