"""A package index on this machine for tests: wheels with nothing in them, and packages that are offered as source."""

import io
import tarfile
import zipfile
from collections.abc import Iterable

ANY = "py3-none-any"
# A build backend that lies in the package itself, so that nothing is fetched to build it.
BACKEND = '''\
import os, zipfile
NAME, TAG = "{name}-{version}", "py3-none-any"
def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(os.path.join(folder, NAME + "-" + TAG + ".whl"), "w") as wheel:
        wheel.writestr(NAME + ".dist-info/METADATA", """{metadata}""")
        wheel.writestr(NAME + ".dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: " + TAG + "\\n")
        wheel.writestr(NAME + ".dist-info/RECORD", "")
    return NAME + "-" + TAG + ".whl"
'''


def _metadata(name: str, version: str, needs: Iterable[str]) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {need}\n" for need in needs
    )


def wheel(name: str, version: str, *needs: str, tag: str = ANY) -> tuple[str, bytes]:
    """A wheel's file name and bytes."""
    base = f"{name}-{version}"
    with zipfile.ZipFile(content := io.BytesIO(), "w") as file:
        file.writestr(f"{name}.py", "# " + "x" * 5000)
        file.writestr(f"{base}.dist-info/METADATA", _metadata(name, version, needs))
        file.writestr(f"{base}.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        file.writestr(f"{base}.dist-info/RECORD", "")
    return f"{base}-{tag}.whl", content.getvalue()


def source(name: str, version: str) -> tuple[str, bytes]:
    """A package that is offered as source."""
    metadata = _metadata(name, version, ())
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.format(name=name, version=version, metadata=metadata),
        "PKG-INFO": metadata,
    }
    with tarfile.open(fileobj=(content := io.BytesIO()), mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", content.getvalue()


def pages(root: str, files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The files and the pages that list them (PEP 503), by their paths below ``root``."""
    there, lists = {}, {}
    for file, content in files:
        name = file.split("-")[0].replace("_", "-")
        there[f"{root}/files/{file}"] = content
        lists.setdefault(f"{root}/{name}/", []).append(f'<a href="../files/{file}">{file}</a>')
    return there | {path: "<br>".join(links).encode() for path, links in lists.items()}
