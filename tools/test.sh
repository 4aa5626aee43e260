#!/usr/bin/env bash
# Sets up what the tests need and runs them all. Arguments go to pytest.
# Tests on real data look for it in $EDGENAS_SHARED, else in ../shared, and are skipped where it is absent.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
make_environment samples,test
.venv/bin/ruff check edgenas tests
.venv/bin/python -m pytest "$@"
