# Sourced by the other scripts: the virtual environments that EdgeNAS runs in.

python=${PYTHON:-python3}

make_environment() { # EXTRAS
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "EdgeNAS needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Name another one with PYTHON=..." >&2
        exit 2
    }
    [[ -x .venv/bin/python ]] || "$python" -m venv .venv
    # torch first and alone: whatever else asks for it then finds the pinned build in place.
    .venv/bin/pip install --quiet --disable-pip-version-check -c tools/constraints.txt torch
    .venv/bin/pip install --quiet --disable-pip-version-check -c tools/constraints.txt -e ".[$1]"
    make_tflite_runtime
}

# tflite-runtime, which TFLite files are verified in besides LiteRT: an environment of its own, since it needs numpy < 2
# and has no wheels for Python 3.12 or newer.
make_tflite_runtime() {
    local folder=${EDGENAS_CACHE:-$HOME/.cache/edgenas}/tflite-runtime candidate
    [[ -x $folder/bin/python ]] && "$folder/bin/python" -c 'import tflite_runtime' 2>/dev/null && return
    for candidate in "$python" python3.11 python3.10 python3.9; do
        "$candidate" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' 2>/dev/null || continue
        "$candidate" -m venv --clear "$folder" &&
            "$folder/bin/pip" install --quiet --disable-pip-version-check tflite-runtime==2.14.0 'numpy<2' && return
    done
    echo "tflite-runtime is left out, it needs Python 3.9 to 3.11: TFLite files will be verified in LiteRT alone." >&2
}
