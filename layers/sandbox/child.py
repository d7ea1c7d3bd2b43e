"""The process that reads one file from outside and ends. Asked on its standard input, it answers by files.

Started by `layers.reading` in an interpreter that sees no environment. The walls go up before anything of the file is
looked at and before any library that could read it is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from layers.errors import ParkError
from layers.sandbox import fence, kinds
from layers.sandbox.answers import WORDS, Answer, Request
from layers.sandbox.kinds import BY_SUFFIX, GDB, GPKG, PARQUET, SIDECARS, TIFF, ZIP, Kind
from layers.sandbox.limits import Defences, Limits
from layers.sandbox.unpack import STEM, unpack

# pyogrio would load these, and takes half a second for it; Arrow needs none of them.
NOT_NEEDED = ("pandas", "geopandas", "shapely", "pyproj", "certifi")


class _Absent:
    """Modules that are not to be found, because loading them would cost more than reading the file."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in NOT_NEEDED:
            raise ModuleNotFoundError(f"{name} is left out here", name=name)


def main() -> None:
    """Read what standard input asks for and leave the answer, or why there is none, in the folder it names."""
    request = Request(**json.load(sys.stdin))
    defences, limits = Defences(**request.defences), Limits(**request.limits)
    out, path = Path(request.out), Path(request.path)
    fence.die_with_parent()
    if defences.rlimits:
        fence.limit(limits)
    fenced = defences.fence and fence.raise_up([*fence.code_folders(), path.parent], [out])
    try:
        answer = read(request, defences, limits)
        answer.fenced = fenced
        words: dict[str, Any] = {"answer": asdict(answer)}
    except ParkError as error:
        faults = [asdict(fault) for fault in getattr(error, "faults", ())]
        words = {"error": type(error).__name__, "message": error.message, "faults": faults, "facts": error.facts}
    except MemoryError:
        words = {"error": "TooLarge", "message": f"{request.name} needs more memory than one file may take"}
    except Exception as error:  # whatever a hostile file provokes is said, and no half answer is left
        failed = kinds.unreadable(request.name, f"{type(error).__name__}: {error}"[:300].rstrip("."))
        words = {"error": "BadInput", "message": failed.message, "faults": [asdict(fault) for fault in failed.faults]}
    (out / WORDS).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    os._exit(0)  # what libraries would tidy up now goes with the process


def read(request: Request, defences: Defences, limits: Limits) -> Answer:
    """Recognise, unpack, check, and only then load the library for that one kind."""
    path, out, name = Path(request.path), Path(request.out), request.name
    stem, suffix = Path(name).stem, request.suffix
    bounds, checks = (limits if defences.bounds else None), (limits if defences.checks else None)
    if path.is_file() and _is_zip(path):
        into = out / "unpacked"
        into.mkdir()
        path, stem = unpack(path, name, into, request.layer, request.raster, bounds)
        suffix = path.suffix
    kind = kinds.recognise(path, suffix, name) if defences.magic else _claimed(path, suffix, name)
    if request.raster != (kind is TIFF):
        raise _wrong_kind(kind, name)
    path = _settled(path, kind, out)
    if kind is GPKG and defences.magic:
        kinds.refuse_strange_schema(path, name)
    return _read(path, kind, stem, request, defences, checks)


def _read(path: Path, kind: Kind, stem: str, request: Request, defences: Defences, limits: Limits | None) -> Answer:
    from layers.sandbox import others, vector

    out, name, encoding = Path(request.out), request.name, request.encoding
    if kind.is_text:
        return others.read_text(path, kind, name, stem, out, encoding, limits)
    sys.meta_path.insert(0, _Absent())
    if kind is PARQUET:
        return others.read_parquet(path, kind, name, stem, out, limits)
    if defences.drivers:
        vector.allow(kind, request.drivers)
    if kind is TIFF:
        return others.read_grid(path, kind, name, stem, out, limits, any_driver=not defences.drivers)
    return vector.read(path, kind, name, stem, out, request.layer, encoding, limits)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in ZIP


def _claimed(path: Path, suffix: str, name: str) -> Kind:
    """The kind a name claims, where the content is not asked."""
    kind = GDB if path.is_dir() else BY_SUFFIX.get(suffix)
    if kind is None:
        raise kinds.unreadable(name, f"no format is known by the ending {suffix}")
    return kind


def _wrong_kind(kind: Kind, name: str) -> ParkError:
    from layers.sandbox.others import no_grid

    if kind is TIFF:
        return kinds.unreadable(name, "it is a raster", "Import it under a role that takes one (dem, imagery, slope)")
    return no_grid(name, f"it is a {kind.name}")


def _settled(path: Path, kind: Kind, out: Path) -> Path:
    """The file under an ending that GDAL knows, and a GeoPackage with its journal written back.

    SQLite has to write beside a file whose last changes lie in a journal, and nothing is written where the file lies.
    """
    journal = path.with_name(f"{path.stem}{SIDECARS['.gpkg'][0]}")
    if path.suffix in kind.suffixes and not (kind is GPKG and journal.exists()):
        return path
    place = out / f"{STEM}{kind.suffixes[0]}"
    shutil.copyfile(path, place)
    if kind is GPKG and journal.exists():
        import sqlite3

        shutil.copyfile(journal, place.with_name(f"{place.name}-wal"))
        store = sqlite3.connect(place)
        store.execute("PRAGMA journal_mode = DELETE").close()
        store.close()
    return place
