"""The one data set in a zip, taken out within bounds and under names of our own.

Nothing is written where the zip says: a member's name only decides which kind it is. A member is written only
if its ending is one of ours, so that a side file that GDAL would follow (.ovr, .aux.xml, .vrt) never comes out.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from layers.errors import BadInput, Fault, TooLarge
from layers.sandbox.kinds import BOUNDARY_TXT, BY_SUFFIX, GDB, HEAD, KINDS, MOJ_XML, TIFF, Kind, sniff
from layers.sandbox.limits import Limits

STEM = "given"  # the name every file from outside goes by in here
CHUNK = 1 << 20
SMALL = 64 << 20  # below this a zip may be as dense as it likes
WEAK = (BOUNDARY_TXT, MOJ_XML)  # endings that many a file bears
INSIDE_GDB = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True)
class Member:
    info: zipfile.ZipInfo
    path: PurePosixPath  # as its packer meant it

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()


@dataclass(frozen=True)
class DataSet:
    """The members that make one data set: the one that names it, and those beside it."""

    path: PurePosixPath
    kind: Kind
    members: tuple[Member, ...]


def unpack(
    path: Path, name: str, into: Path, layer: str | None, raster: bool, limits: Limits | None
) -> tuple[Path, str]:
    """Write the zip's data set into a folder; its path there and the stem its sender knows it by.

    layer : the stem that chooses among several; limits : None takes every bound away
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [Member(info, PurePosixPath(_meant(info))) for info in archive.infolist() if not info.is_dir()]
            if limits is not None:
                _refuse(members, name, limits)
            chosen = _choose(list(_data_sets(archive, members, raster)), name, layer, raster)
            most = min(limits.unpacked_bytes, max(SMALL, limits.ratio * path.stat().st_size)) if limits else None
            return _extract(archive, chosen, into, name, most), chosen.path.stem
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadInput(
            f"{name} is not a whole zip file", [Fault(str(error)[:300], "Pack it again", file=name)]
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise BadInput(
            f"{name} cannot be unpacked",
            [Fault(str(error)[:300], "Pack it without a password, by plain deflate", file=name)],
        ) from error


def _meant(info: zipfile.ZipInfo) -> str:
    """A member's name: packers that do not say UTF-8 mean the code page of their machine, here mostly GBK."""
    said = info.filename
    if not info.flag_bits & 0x800:
        raw = said.encode("cp437", "replace")
        try:
            said = raw.decode("utf-8")
        except UnicodeDecodeError:
            said = raw.decode("gb18030", "replace")
    return said.replace("\\", "/")


def _refuse(members: list[Member], name: str, limits: Limits) -> None:
    """Raise with every fault of the list of contents."""
    if len(members) > limits.members:
        raise TooLarge(f"{name} holds {len(members):,} files; at most {limits.members:,} are taken at once")
    faults = []
    for member in members:
        reason = None
        if member.path.is_absolute() or ".." in member.path.parts or ":" in member.path.parts[0]:
            reason = "its name leads out of the zip"
        elif stat.S_IFMT(member.info.external_attr >> 16) not in (0, stat.S_IFREG):
            reason = "it is a link or no plain file"
        elif member.info.flag_bits & 0x1:
            reason = "it is encrypted"
        if reason:
            fix = "Pack the plain files anew, without links and without a password"
            faults.append(Fault(f"{str(member.path)[:80]}: {reason}", fix, file=name))
    if faults:
        raise BadInput(f"{name} cannot be unpacked", faults[:100])


def _data_sets(archive: zipfile.ZipFile, members: list[Member], raster: bool) -> Iterator[DataSet]:
    by_folder: dict[PurePosixPath, list[Member]] = {}
    for member in members:
        inside = next((folder for folder in member.path.parents if folder.suffix.lower() == ".gdb"), None)
        if inside is not None:
            by_folder.setdefault(inside, []).append(member)
            continue
        kind = BY_SUFFIX.get(member.suffix)
        if kind is None or (kind is TIFF) != raster or member.path.name.startswith("._"):  # of a Mac's making
            continue
        if kind in WEAK and sniff(archive.open(member.info).read(HEAD)) is not kind:
            continue
        endings = {ending: member.path.stem.lower() + ending for ending in kind.sidecars}
        beside = [
            other
            for other in members
            if other.path.parent == member.path.parent and other.path.name.lower() in endings.values()
        ]
        yield DataSet(member.path, kind, (member, *beside))
    if not raster:
        for folder, within in by_folder.items():
            plain = [one for one in within if one.path.parent == folder and INSIDE_GDB.fullmatch(one.path.name)]
            yield DataSet(folder, GDB, tuple(plain))


def _choose(found: list[DataSet], name: str, layer: str | None, raster: bool) -> DataSet:
    if len(found) > 1 and layer is not None:
        found = [one for one in found if one.path.stem == layer] or found
    if len(found) == 1:
        return found[0]
    if found:
        reason = f"it holds {', '.join(str(one.path) for one in found[:20])}"
        fix = "Pack one Shapefile, or choose with --layer NAME"
    else:
        formats = ", ".join(kind.name for kind in KINDS if (kind is TIFF) == raster)
        reason, fix = "no readable file is inside", f"Pack one of {formats}; no zip within the zip"
    raise BadInput(f"which file of {name}?", [Fault(reason, fix, file=name)])


def _extract(archive: zipfile.ZipFile, chosen: DataSet, into: Path, name: str, most: int | None) -> Path:
    """Write the members as STEM with their endings (a FileGDB as a folder); the path of the first."""
    target = into / f"{STEM}{chosen.path.suffix.lower()}"
    if chosen.kind is GDB:
        target.mkdir(parents=True)
    left = most
    for member in chosen.members:
        place = target / member.path.name if chosen.kind is GDB else into / f"{STEM}{member.suffix}"
        with archive.open(member.info) as source, place.open("wb") as copy:
            while chunk := source.read(CHUNK):
                if left is not None:
                    left -= len(chunk)
                    if left < 0:
                        raise TooLarge(f"{name} holds more than {most:,} bytes once unpacked; send it in parts")
                copy.write(chunk)
    return target
