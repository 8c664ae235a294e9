"""Refuse every network connection that does not stay on this machine.

Python imports a module named ``sitecustomize`` when it starts. With this folder at the front of ``PYTHONPATH``
(`course_utils.authoring.sandbox.confine` puts it there) that module is this one, so every Python process below,
notebook kernels included, starts with the guard on. A ``sitecustomize`` that the environment already had runs as well.

The guard is an audit hook (https://docs.python.org/3/library/audit_events.html): it sees what Python's ``socket``
module is asked to do, whichever library asks, and an exception raised in it stops the call. It does not see sockets
that a C library opens by itself, other programs such as curl, nor a Python started with ``-I``, ``-E`` or ``-S``.

Standard library only, and nothing of the course: this runs before anything else in processes that may know nothing
of the course.
"""

import ipaddress
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

LOOKUPS = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)
SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


def _stays_here(host: object, *, lookup: bool) -> bool:
    """Whether ``host`` is loopback. A lookup may also name no host or 0.0.0.0, as servers do before they bind."""
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if name is None or name == "":
        return lookup
    if not isinstance(name, str):
        return False
    if name.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or (lookup and address.is_unspecified)


def _refusal(what: str) -> ConnectionRefusedError:
    # An OSError, so that code written for a missing network takes the same path here.
    return ConnectionRefusedError(
        f"The network is switched off here: {what} was refused. Notebooks and tests of this course must run without "
        "it; only this machine (loopback) may be reached."
    )


def guard(event: str, args: tuple[object, ...]) -> None:
    """Audit hook: raise ConnectionRefusedError where ``event`` would leave this machine."""
    if event in LOOKUPS:
        host = args[0][0] if isinstance(args[0], tuple) else args[0]
        if not _stays_here(host, lookup=True):
            raise _refusal(f"looking up {host!r}")
    elif event in SENDS:
        sock, address = args[0], args[1]
        # A local (AF_UNIX) socket has a path for an address; a socket already connected has none.
        if address is None or sock.family.name in ("AF_UNIX", "AF_NETLINK"):
            return
        host = address[0] if isinstance(address, tuple) else address
        if not _stays_here(host, lookup=False):
            raise _refusal(f"a connection to {address!r}")


def install() -> None:
    """Switch the guard on for the rest of this process: an audit hook cannot be taken off again."""
    sys.addaudithook(guard)


def _run_the_other_sitecustomize() -> None:
    """Run the ``sitecustomize`` that this file hides, if the environment has one."""
    here = os.path.realpath(os.path.dirname(__file__))
    spec = PathFinder.find_spec("sitecustomize", [p for p in sys.path if os.path.realpath(p or ".") != here])
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    install()
    _run_the_other_sitecustomize()
