"""The systems for which packages can be fetched on another one: what pip calls them, and how their Python answers.

pip chooses files by a system's tags (``--platform``), but reads what a package needs with the answers of the Python
that runs it: from Linux, ``colorama; sys_platform == "win32"`` would be left out of a folder for Windows. So pip is
started with the answers of the system that is meant.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

__all__ = ["PYTHONS", "SYSTEMS", "System", "this_python", "this_system"]

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""The versions of Python that the course supports."""
OLDEST_GLIBC, NEWEST_GLIBC = 5, 28
"""Files for Linux that run with glibc 2.28 are taken: that of Debian 10, Ubuntu 20.04, Red Hat 8 and newer."""


@dataclass(frozen=True)
class System:
    """An operating system on a kind of processor.

    Args:
        tags: what pip calls it, best first.
        machine: what its ``platform.machine()`` answers.
        kernel: what its ``platform.system()`` answers.
        sys_platform: its ``sys.platform``.
        cpu_index: whether PyTorch offers a CPU build apart from the one on PyPI.
    """

    tags: tuple[str, ...]
    machine: str
    kernel: str
    sys_platform: str
    cpu_index: bool = False

    def environment(self, python: str) -> dict[str, str]:
        """How a Python of this version answers there: the variables of environment markers (PEP 508).

        The patch release is the first one: backports that only early ones need are then there for all.
        """
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "nt" if self.sys_platform == "win32" else "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.kernel,
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": self.sys_platform,
        }


def _linux(machine: str) -> System:
    glibc = (f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1))
    return System((*glibc, f"manylinux2014_{machine}", f"linux_{machine}"), machine, "Linux", "linux", True)


SYSTEMS = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "windows-amd64": System(("win_amd64",), "AMD64", "Windows", "win32"),
    "macos-arm64": System(("macosx_14_0_arm64",), "arm64", "Darwin", "darwin"),
    "macos-x86_64": System(("macosx_14_0_x86_64",), "x86_64", "Darwin", "darwin"),
}
"""By name. pip takes older macOS along by itself; PyTorch's files for Apple's processors need macOS 14."""


def this_system() -> str:
    """Return the name of the system that this Python runs on, which need not be one of :data:`SYSTEMS`."""
    for name, system in SYSTEMS.items():
        if (system.sys_platform, system.machine) == (sys.platform, platform.machine()):
            return name
    return f"{platform.system()}-{platform.machine()}".lower()


def this_python() -> str:
    """Return the version of this Python, such as "3.12"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
