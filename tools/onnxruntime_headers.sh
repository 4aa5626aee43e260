#!/usr/bin/env bash
# ONNX Runtime's C++ headers, for the test of docs/deploy/cpp-onnxruntime.md: those of Debian 13's libonnxruntime-dev, unpacked,
# not installed, in the cache folder. Headers of one version go with the library of every later one, such as pip's.
#
# Needs Debian's apt and keyring, with lists (`apt-get update`); nothing to do when they are there.
set -euo pipefail
folder=${EDGENAS_CACHE:-$HOME/.cache/edgenas}/onnxruntime-headers
[[ ! -e $folder/onnxruntime_cxx_api.h ]] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/parts"
: >"$work/status"
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${archive:?this is no Debian} trixie main" >"$work/sources.list"
# apt with a state of its own, so that the machine's sources and packages stay as they are.
options=(-qq -o APT::Sandbox::User=root -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::Cache="$work"
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/parts")
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download libonnxruntime-dev)
dpkg -x "$work"/libonnxruntime-dev_*.deb "$work/package"
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv "$work/package/usr/include/onnxruntime" "$folder"
