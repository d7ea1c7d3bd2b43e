"""Where an export goes: made beside its final place and renamed, so that nothing half-written is ever found there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw

from layers.errors import BadInput, Fault, Refused
from layers.snapshot import staging, sweep

# What other programs lay beside these files; over a new file an old index would give wrong answers.
STALE = {".shp": (".sbn", ".sbx", ".qix", ".qpj", ".shp.xml", ".cpg")}
IN_USE = ("-wal", "-shm", "-journal")


@contextlib.contextmanager
def making(path: Path, parts: Sequence[Path], overwrite: bool) -> Iterator[Path]:
    """A folder to write into; what lies in it afterwards is moved beside `path`, all of it or nothing.

    `parts` are the files that will be there. Raises BadInput where one exists and may not be overwritten, Refused
    where it is a county.
    """
    if not path.parent.is_dir():
        raise _no(path, f"there is no folder {path.parent.name}", "Make the folder first")
    refuse_county(path)
    if not overwrite:
        there = [part.name for part in parts if part.exists()]
        if there:
            raise _no(path, f"{', '.join(there)} is there already", "Choose another name, or say --overwrite")
    for ending in IN_USE:
        if path.with_name(path.name + ending).exists():
            raise _no(path, f"{path.name} is open in another program ({path.name}{ending})", "Close it there first")
    try:
        sweep(path.parent)
        with staging(path.parent) as folder:
            made, old = folder / "made", folder / "old"
            made.mkdir()
            old.mkdir()
            yield made
            _publish(made, old, path, overwrite)
    except OSError as error:
        raise _no(path, error.strerror or str(error), "Choose another folder, or make room") from error


def _publish(made: Path, old: Path, path: Path, overwrite: bool) -> None:
    """Move everything in `made` beside `path`, the main file last; what was there goes back where a move fails."""
    moved: list[Path] = []
    aside: list[Path] = []
    names = sorted((one.name for one in made.iterdir()), key=lambda name: (name == path.name, name))
    stale = [path.with_suffix(ending).name for ending in STALE.get(path.suffix.lower(), ())]
    try:
        for name in dict.fromkeys([*names, *stale]):
            target = path.with_name(name)
            if target.exists() and overwrite:
                target.rename(old / name)
                aside.append(target)
        for name in names:
            target = path.with_name(name)
            if target.exists():  # came while we were writing
                raise FileExistsError(17, f"{name} is there already")
            (made / name).rename(target)
            moved.append(target)
    except BaseException:
        for target in moved:
            target.rename(made / target.name)
        for target in aside:
            (old / target.name).rename(target)
        raise


def refuse_county(path: Path) -> None:
    """Raise where the file is a county: an export must never replace one."""
    if path.suffix.lower() != ".gpkg" or not path.is_file():
        return
    with contextlib.suppress(apsw.Error):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with contextlib.closing(db):
            if list(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'parkplan_county'")):
                raise Refused(f"{path.name} is a county; an export does not replace one", county=path.name)


def _no(path: Path, reason: str, fix: str) -> BadInput:
    return BadInput(f"{path.name} cannot be written", [Fault(reason, fix, file=path.name)])
