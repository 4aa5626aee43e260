"""The two files of ONNX Runtime Web that a page needs, from npm's registry, once."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO

from edgenas.errors import EdgeNASError
from edgenas.files import cache_dir, read_member, replacing, scratch
from edgenas.progress import Track, quiet

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""As npm states it for this version."""

FILES = {
    "ort.mjs": "package/dist/ort.webgpu.bundle.min.mjs",
    "ort.wasm": "package/dist/ort-wasm-simd-threaded.asyncify.wasm",
}

_CHUNK_BYTES = 1 << 18


def onnxruntime_web(track: Track = quiet) -> Path:
    """The folder that holds `FILES`, in the cache, downloaded first when they are not there.

    Without internet the archive is also found in the cache folder, if somebody put it there. Raises EdgeNASError, saying so.
    """
    folder = cache_dir() / f"onnxruntime-web-{VERSION}"
    if all((folder / name).is_file() for name in FILES):
        return folder
    archive = cache_dir() / ARCHIVE
    if archive.is_file():
        _unpack(archive, folder)
        return folder
    with scratch("download") as temporary:
        _download(temporary / ARCHIVE, archive, track)
        _unpack(temporary / ARCHIVE, folder)
    return folder


def _download(path: Path, meant: Path, track: Track) -> None:
    try:
        with urllib.request.urlopen(URL, timeout=30) as response, path.open("wb") as file:
            chunks = -(-int(response.headers.get("Content-Length", 0)) // _CHUNK_BYTES) or None
            for chunk in track(_chunks(response), f"downloading onnxruntime-web {VERSION}", chunks):
                file.write(chunk)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise EdgeNASError(
            f"ONNX Runtime Web cannot be downloaded ({reason}): where there is internet, download {URL}, and put it here as "
            f"{meant}."
        ) from error


def _chunks(response: IO[bytes]) -> Iterator[bytes]:
    while chunk := response.read(_CHUNK_BYTES):
        yield chunk


def _unpack(archive: Path, folder: Path) -> None:
    """Raises EdgeNASError for an archive that is not the very one that was published."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
        raise EdgeNASError(f"{archive.name} is not what was published as {URL}: delete it and download it again.")
    with tarfile.open(archive, "r:gz") as tar:
        members = {member.name: member for member in tar}
        for name, inside in FILES.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(read_member(tar, members[inside]))
