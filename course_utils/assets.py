"""Where files come from: ``data/``, installed packages, and verified downloads.

This is the only module that knows about files and the network. Everything that the notebooks need
lies in the repository or in an installed package; downloads are optional and verified by SHA-256.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["DATA", "ROOT", "AssetError", "cache_folder", "data_file", "download", "package_file", "verify"]

ROOT = Path(__file__).resolve().parent.parent
"""The course's folder, which holds notebooks/, data/ and course_utils/."""
DATA = ROOT / "data"
"""The folder of what the course brings along; commands for authors write there."""

MIRROR_VARIABLE = "COURSE_MIRROR"
CACHE_VARIABLE = "COURSE_CACHE"


class AssetError(RuntimeError):
    """A file is missing, damaged or cannot be fetched; the message says what to do."""


def data_file(name: str) -> Path:
    """Return the path of ``name`` in the repository's ``data/`` folder.

    Raises:
        AssetError: the file is not there.
    """
    path = DATA / name
    if not path.is_file():
        raise AssetError(
            f"data/{name} is missing at {path}. It is part of the course: fetch the course again, and "
            "install it with `pip install -e .` from its folder, so that data/ lies beside course_utils/."
        )
    return path


def package_file(package: str, relative_path: str, sha256: str | None = None) -> Path:
    """Return the path of a file that an installed package carries, without importing the package.

    Args:
        package: name under which the package is imported, such as ``"skimage"``.
        relative_path: path inside the package, with forward slashes.
        sha256: if given, the file's expected SHA-256 (at least its first eight digits).

    Raises:
        AssetError: package or file is not there, or the file's hash differs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise AssetError(
            f"the package {package!r} is not installed. Run `pip install -r requirements.txt` in the "
            "course's folder, with the same Python as this notebook's kernel."
        )
    path = Path(next(iter(spec.submodule_search_locations)), relative_path)
    if not path.is_file():
        raise AssetError(
            f"the package {package!r} is installed, but {relative_path!r} is not in it (looked at {path}). "
            f"Its version may be too old: run `pip install --upgrade -r requirements.txt`."
        )
    if sha256 is not None:
        try:
            verify(path, sha256, remedy="")
        except AssetError as error:
            # What is imported as skimage is installed as scikit-image.
            raise AssetError(
                f"{error} Reinstall its package: `pip install --force-reinstall --no-deps {_project(package)}`."
            ) from error
    return path


def _project(package: str) -> str:
    """Return the name under which an importable package was installed."""
    for distribution in importlib.metadata.distributions():
        if any(file.parts[0] == package for file in distribution.files or ()):
            return distribution.metadata["Name"]
    return package


def cache_folder() -> Path:
    """Return the folder that keeps downloads: ``$COURSE_CACHE``, or the user's cache folder."""
    import pooch  # here and below: whoever wants to know where the course lies need not have it installed

    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("course_utils")).expanduser()


def verify(path: Path, sha256: str, remedy: str = "Delete it and fetch it again.") -> None:
    """Check a file's SHA-256 against ``sha256``, which may be the first eight or more digits.

    PyTorch publishes eight digits, in the file names of its weights.

    Raises:
        ValueError: ``sha256`` is no such hash.
        AssetError: the file's hash differs.
    """
    digits = sha256.lower()
    if not (8 <= len(digits) <= 64 and set(digits) <= set("0123456789abcdef")):
        raise ValueError(f"sha256 must be 8 to 64 hexadecimal digits, got {sha256!r}")
    import pooch

    found = pooch.file_hash(str(path), alg="sha256")
    if not found.startswith(digits):
        raise AssetError(
            f"{path} is damaged or not the file that was published: its SHA-256 begins with "
            f"{found[: len(digits)]}, expected {digits}. {remedy}".rstrip()
        )


def download(url: str, sha256: str, name: str | None = None, progress: bool = True) -> Path:
    """Return a verified local copy of ``url``, fetching it on first use.

    With ``COURSE_MIRROR`` set to a folder or an address, the file is taken from there by its name
    instead: for classrooms without internet. Files are kept in :func:`cache_folder`; an interrupted
    or damaged download leaves nothing behind there.

    Args:
        url: where the file is published.
        sha256: its SHA-256, or at least the first eight digits.
        name: file name in the cache (and on a mirror); by default the last part of the URL.
        progress: show a progress bar.

    Raises:
        AssetError: no network, no such file, or a wrong hash.
    """
    name = name or Path(urlsplit(url).path).name
    target = cache_folder() / name
    if target.is_file():
        verify(target, sha256)
        return target
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    if mirror and "://" not in mirror:
        source = Path(mirror, name).expanduser()
        if not source.is_file():
            raise AssetError(
                f"{MIRROR_VARIABLE} names the folder {mirror}, but there is no {name} in it. Put the file "
                f"there (it is published at {url}), or unset {MIRROR_VARIABLE}."
            )
        verify(source, sha256, remedy="Copy it to the mirror again.")
        return source
    return _fetch(f"{mirror.rstrip('/')}/{name}" if mirror else url, sha256, target, progress)


def _fetch(address: str, sha256: str, target: Path, progress: bool) -> Path:
    import pooch

    # A name of its own (and of this process's own) until the hash is checked: nothing unverified
    # ever has the final name.
    fetched = target.with_name(f"{target.name}.{os.getpid()}.unverified")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched.touch()  # proves that the folder can be written, before the network is asked
        fetched.unlink()
    except OSError as error:
        raise AssetError(
            f"the cache folder {target.parent} cannot be written ({error}). Set {CACHE_VARIABLE} to a "
            "folder that can."
        ) from error
    # Otherwise pooch recommends, in red, a setting that means nothing to the reader.
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            address,
            known_hash=None,
            fname=fetched.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
        )
        verify(fetched, sha256, remedy="The download was discarded; try again, or from another network.")
        fetched.replace(target)
    except AssetError:
        raise
    except Exception as error:
        raise AssetError(
            f"could not download {address} ({type(error).__name__}: {error}). Check the network connection; "
            f"without one, fetch the file elsewhere and put it at {target}, or set {MIRROR_VARIABLE} to a "
            "folder that holds it."
        ) from error
    finally:
        fetched.unlink(missing_ok=True)
    return target
