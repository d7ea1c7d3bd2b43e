"""Walls around this process that it cannot take down again: Landlock by plain system calls, and resource limits.

Landlock is Linux only (5.13 and later; TCP from 6.7). Where it is missing the other layers stand alone, and `state`
says so. Numbers from linux/landlock.h; the system call numbers are the same on every architecture but alpha and mips.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from layers.sandbox.limits import Limits

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
TRUNCATE = 1 << 14
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
ON_FILES = READ_FILE | WRITE_FILE | TRUNCATE  # rights that make sense for what is no folder
TCP = 0b11  # bind, connect
SCOPES = 0b11  # abstract unix sockets and signals of processes outside


@lru_cache(maxsize=1)
def landlock_abi() -> int:
    """The version of Landlock this kernel offers; 0 where there is none."""
    if sys.platform != "linux" or platform.machine().startswith(("alpha", "mips")):
        return 0
    with contextlib.suppress(OSError, AttributeError):
        return max(0, _syscall(CREATE_RULESET, None, 0, ASK_VERSION))
    return 0


def state() -> dict[str, object]:
    """Which walls a child gets on this machine, for people who run it.

    files, network : Landlock keeps it from files and TCP connections that are not its own
    limits : the system bounds its processor time, memory and files
    """
    abi = landlock_abi()
    return {"landlock": abi, "files": abi >= 1, "network": abi >= 4, "limits": _has_limits()}


def says(walls: dict[str, object]) -> str:
    """The state in one sentence.

    >>> says({"landlock": 7, "files": True, "network": True, "limits": True})
    'Landlock 7: no files but its own, no TCP; limits on time and memory'
    >>> says({"landlock": 0, "files": False, "network": False, "limits": True})
    'no Landlock in this kernel: magic bytes and the driver allow-list stand alone; limits on time and memory'
    """
    alone = "magic bytes and the driver allow-list stand alone"
    if not walls["files"]:
        kept = f"no Landlock in this kernel: {alone}"
    else:
        kept = f"Landlock {walls['landlock']}: no files but its own, "
        kept += "no TCP" if walls["network"] else f"against the network {alone}"
    return f"{kept}; {'limits on time and memory' if walls['limits'] else 'no limits but the clock on this system'}"


def limit(limits: Limits) -> None:
    """Bound what this process and its children may use, as far as the system can; no core files."""
    if not _has_limits():
        return
    import resource

    for name, most in (
        ("RLIMIT_CPU", limits.cpu_s),
        ("RLIMIT_AS", memory_bytes(limits)),
        ("RLIMIT_FSIZE", limits.answer_bytes),
        ("RLIMIT_NOFILE", limits.open_files),
        ("RLIMIT_CORE", 0),
    ):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # macOS refuses some of them
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, bound))


def memory_bytes(limits: Limits) -> int:
    """Address space for a child: no more than three quarters of what the machine has, but enough to load libraries."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return limits.memory_bytes
    return min(limits.memory_bytes, max(2 << 30, there * 3 // 4))


def die_with_parent() -> None:
    """Let the kernel end this process should the one that started it vanish."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def raise_up(read: Iterable[Path], write: Iterable[Path]) -> bool:
    """Keep this process from every file but those, from starting programs and from TCP; False where it cannot be.

    To be called while the process has one thread: Landlock binds the calling thread and what it starts.
    """
    abi = landlock_abi()
    if abi == 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    asked = (struct.pack("=Q", handled), struct.pack("=QQ", handled, TCP), struct.pack("=QQQ", handled, TCP, SCOPES))
    attributes = asked[0 if abi < 4 else 1 if abi < 6 else 2]
    ruleset = _syscall(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in ((read, READ), (write, WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        _syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def code_folders() -> list[Path]:
    """Where the interpreter, its libraries and this project's `layers` lie; no data is kept there."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    said = {sysconfig.get_path(name) for name in names} | {sysconfig.get_path(name, vars=_base()) for name in names}
    system = (
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        f"{sys.base_prefix}/lib",
        "/etc/ld.so.cache",
    )
    return [Path(name) for name in sorted(said | set(system))] + [Path(__file__).resolve().parent.parent]


def _base() -> dict[str, str]:
    return {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}


def _has_limits() -> bool:
    return sys.platform != "win32"


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """One rule for everything below a path; a path that is not there needs none."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= ~0 if path.is_dir() else ON_FILES
        _syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    typed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *typed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
