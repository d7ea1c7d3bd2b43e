"""Files that wait for a second person: kept as they came, in a folder of their own beside the county.

Nothing here is read before it is asked for, and then by `layers.reading` alone. The file's name is kept for the
people who sent it, its bytes by their SHA-256, so that what is approved is what was looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import apsw

from layers.errors import BadInput, Fault, Stale, UnknownName

CHUNK = 1 << 20
PLAIN = re.compile(r"[^\w.\-（）()【】 ]+")  # \w holds Chinese; a path, a drive or a control character does not pass
KEY = re.compile(r"[0-9a-z]{8,64}")


@dataclass(frozen=True)
class Kept:
    path: Path
    sha256: str
    size_bytes: int


class Inbox:
    """`<county>.inbox/<key>/<file>`, readable by the service's own account only."""

    def __init__(self, county: Path) -> None:
        self.folder = county.with_suffix(".inbox")

    def keep(self, key: str, name: str, stream: BinaryIO) -> Kept:
        """The bytes of a stream as a file of its own; whole or not at all. BadInput for a name that is none."""
        path = self._place(key) / plain_name(name)
        place = path.parent
        place.mkdir(parents=True, mode=0o700)
        running = hashlib.sha256()
        try:
            with path.open("xb") as file:
                while chunk := stream.read(CHUNK):
                    running.update(chunk)
                    file.write(chunk)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return Kept(path, running.hexdigest(), path.stat().st_size)

    def find(self, key: str, name: str) -> Path:
        path = self._place(key) / plain_name(name)
        if not path.is_file():
            raise UnknownName(f"the file {name} is no longer kept", file=name)
        return path

    def files(self) -> list[Path]:
        """Every file that waits, as `<key>/<file>` in the folder."""
        found = (path.relative_to(self.folder) for path in self.folder.glob("*/*") if path.is_file())
        return sorted(path for path in found if is_kept(path.as_posix()))

    def drop(self, key: str) -> None:
        shutil.rmtree(self._place(key), ignore_errors=True)

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Around deciding on a file: one person at a time, in whichever process; Stale for the other.

        The lock goes with its process, so that a killed one leaves nothing locked.
        """
        with contextlib.closing(apsw.Connection(str(self._place(key) / ".turn"))) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except apsw.BusyError as error:
                raise Stale("somebody else is deciding on this right now") from error
            yield

    def _place(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise UnknownName(f"no import {key!r}")
        return self.folder / key


def is_kept(name: str) -> bool:
    """Whether a name is one under which a file waits.

    >>> is_kept("0a1b2c3d/地块.txt"), is_kept("0a1b2c3d/.turn"), is_kept("../0a1b2c3d/x.txt")
    (True, False, False)
    """
    key, _, file = name.partition("/")
    try:
        return KEY.fullmatch(key) is not None and plain_name(file) == file
    except BadInput:
        return False


def plain_name(name: str) -> str:
    """The last part of what a client calls its file, without anything that a path could mean.

    >>> plain_name("../../etc/木黄 地块.txt"), plain_name("C:\\\\temp\\\\a:b.shp")
    ('木黄 地块.txt', 'a_b.shp')
    """
    last = PLAIN.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    if not last or len(last.encode()) > 200:
        raise BadInput("the file needs a name", [Fault(f"{name[:80]!r} is no file name", "Send it with its name")])
    return last
