#!/usr/bin/env bash
# bash tools/release.sh [FOLDER]
# Builds what a version is, into dist/ or FOLDER: the wheel, the sdist, an SBOM (CycloneDX) of the environment, and their SHA-256.
# A version is a tag: at v1.2.3, pyproject.toml must say 1.2.3 and CHANGELOG.md have its section. Elsewhere the version ends
# with .dev0, and what is built is for trying out.
# It needs `pip install -c tools/constraints.txt -e '.[release]'`; PYTHON names the interpreter that has it.
set -euo pipefail
folder=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[[ -x $python ]] || python=python3
version=$("$python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
if [[ $version != *.dev* ]]; then
    tag=$(git describe --exact-match --tags --match 'v*' 2>/dev/null || true)
    [[ $tag == "v$version" ]] || { echo "The version is $version: tag this commit v$version first, it has '${tag:-no tag}'." >&2; exit 1; }
    [[ -z $(git status --porcelain) ]] || { echo "There are changes that are not committed." >&2; exit 1; }
    grep -q "^## $version" CHANGELOG.md || { echo "CHANGELOG.md has no section '## $version'." >&2; exit 1; }
fi
"$python" -m hatchling build --clean --directory "$folder"
"$python" -m cyclonedx_py environment --pyproject pyproject.toml --output-reproducible --validate \
    --output-file "$folder/edgenas-$version.cdx.json" "$("$python" -c 'import sys; print(sys.executable)')"
(cd "$folder" && sha256sum edgenas-* > SHA256SUMS && cat SHA256SUMS)
