"""Asking a child to read one file, and taking nothing on trust that it hands back."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pyproj import CRS
from pyproj.exceptions import CRSError

import layers
from layers.errors import BadInput, Fault, NeedCrs, ParkError, TooLarge, UnknownName
from layers.records import Bounds, Geoms, RawLayer
from layers.sandbox import fence, wkb
from layers.sandbox.answers import GEOMETRY, GRID, TABLE, WORDS, Answer, Request
from layers.sandbox.kinds import BY_SUFFIX, SIDECARS, USE, unreadable
from layers.sandbox.limits import Defences, Limits
from layers.sandbox.unpack import INSIDE_GDB, STEM

DEFAULT = Limits()
ALL = Defences()
CHUNK = 1 << 20
WORDS_BYTES = 16 << 20
ERRORS: dict[str, type[ParkError]] = {kind.__name__: kind for kind in (BadInput, NeedCrs, TooLarge, UnknownName)}
# The child sees no environment but what keeps libraries to one thread and small memory, and where it may write.
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
START = "import sys; sys.path.append(sys.argv[1]); from layers.sandbox.{0} import main; main()"
PLAIN = ("boolean", "integer", "floating", "string", "binary", "timestamp", "null")
_places = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


@dataclass(frozen=True, eq=False)
class Grid:
    """A raster as its file says it: `values[row, col]` with row 0 north, NODATA not yet taken out.

    `transform` are the six numbers of an affine map from (column, row) to (east, north).
    """

    values: NDArray[np.float32]
    transform: tuple[float, ...]
    bounds: Bounds
    crs: str | None
    nodata: float | None
    found: dict[str, str]


def read(
    path: Path,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT,
    defences: Defences = ALL,
) -> RawLayer:
    """One vector layer of a file or zip from outside.

    Parameters
    ----------
    path : GeoPackage, Shapefile, GeoJSON, FlatGeobuf, FileGDB, KML, DXF, MapInfo, GeoParquet, OSM PBF, boundary TXT,
        MOJ XML, or a zip that holds one of them in whatever folder
    layer : which of several, also which of several files in a zip
    encoding : what the file does not say or says wrongly
    defences : only a test takes one away

    Raises BadInput where it cannot be read, UnknownName for a layer it has not, TooLarge where it passes a limit.
    """
    try:
        codecs.lookup(encoding or "UTF-8")
    except LookupError as error:
        fault = Fault(str(error), "Say --encoding GB18030 or UTF-8", file=path.name)
        raise BadInput(f"{encoding!r} is not an encoding", [fault]) from error
    with _asked(path, False, layer, encoding, limits, defences) as (answer, out):
        table, geometries = _table(out / TABLE, answer, path.name, limits, defences.answer)
    found = {"format": answer.format, "layer": answer.layer, **answer.found}
    if answer.encoding:
        found["encoding"] = answer.encoding
    notes = tuple(TypeAdapter(list[Fault]).validate_python(answer.notes))
    return RawLayer(table, geometries, _crs(answer.crs, path.name), found, notes)


def read_grid(path: Path, *, limits: Limits = DEFAULT, defences: Defences = ALL) -> Grid:
    """The first band of a GeoTIFF from outside, also in a zip; errors as in `read`."""
    with (
        _asked(path, True, None, None, limits, defences) as (answer, out),
        _own(out / GRID, limits.answer_bytes, path.name) as file,
    ):
        try:
            values = np.load(io.BytesIO(file.read()), allow_pickle=False)
            west, south, east, north = answer.bounds
        except ValueError as error:
            raise unreadable(path.name, "what was read of it is no grid") from error
    if values.dtype != np.float32 or values.ndim != 2 or len(answer.transform) != 6:
        raise unreadable(path.name, "what was read of it is no grid")
    transform = tuple(answer.transform)
    return Grid(values, transform, (west, south, east, north), answer.crs, answer.nodata, {"format": answer.format})


def state() -> dict[str, object]:
    """Which walls this machine puts around a reader; see `layers.sandbox.fence.state`."""
    return fence.state()


def probe() -> dict[str, bool]:
    """Start a fenced process and say what it really was kept from: files, network, programs.

    `up` is False where the kernel offers no fence; the other three are then what the system allows anyway.
    """
    with tempfile.TemporaryDirectory(prefix="parkplan-probe-") as folder, socket.socket() as listener:
        canary, inside = Path(folder) / "canary", Path(folder) / "inside"
        canary.write_text("not yours")
        inside.mkdir()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        arguments = [_root(), str(inside), str(canary), port, os.path.realpath(sys.executable)]
        command = [sys.executable, "-I", "-X", "utf8", "-c", START.format("probing"), *arguments]
        done = subprocess.run(
            command, env=_environment(inside), capture_output=True, text=True, timeout=30, check=False
        )
    said, _, ran = done.stdout.partition("}")
    kept: dict[str, bool] = json.loads(said + "}")
    kept["programs"] = "RAN" not in ran
    return kept


# --- one child --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _asked(
    path: Path, raster: bool, layer: str | None, encoding: str | None, limits: Limits, defences: Defences
) -> Iterator[tuple[Answer, Path]]:
    """Copy the file aside, let a child read it, and give its words and the folder it wrote to."""
    name = path.name
    with _places, tempfile.TemporaryDirectory(prefix="parkplan-") as folder:
        inside, out = Path(folder) / "in", Path(folder) / "out"
        inside.mkdir()
        out.mkdir()
        staged = _stage(path, inside, limits, defences.bounds)
        drivers = _grid_drivers() if raster else _vector_drivers()
        request = Request(
            path=str(staged),
            name=name,
            suffix=path.suffix.lower(),
            out=str(out),
            raster=raster,
            layer=layer,
            encoding=encoding,
            limits=asdict(limits),
            defences=asdict(defences),
            drivers=drivers,
        )
        end = _run(request, out, limits.wall_s if defences.deadline else None)
        yield _answer(out, name, end), out


def _stage(path: Path, folder: Path, limits: Limits, bounded: bool) -> Path:
    """Copies of the file and of the side files its format has, alone in a folder, under a name of our own."""
    if not path.exists():
        raise BadInput(f"there is no file {path.name}", [Fault("not found", "Check the path", file=path.name)])
    suffix = path.suffix.lower()
    target = folder / (STEM + (suffix if suffix in BY_SUFFIX else ""))
    left = limits.file_bytes if bounded else sys.maxsize
    if path.is_dir():
        target.mkdir()
        plain = [one for one in path.iterdir() if not one.is_symlink() and one.is_file()]
        wanted = [(one, target / one.name) for one in plain if INSIDE_GDB.fullmatch(one.name)]
        if len(wanted) > limits.members:
            raise TooLarge(f"{path.name} holds {len(wanted):,} files; at most {limits.members:,} are taken at once")
    elif bounded:
        ends = {case(ending): ending for ending in SIDECARS.get(suffix, ()) for case in (str.lower, str.upper)}
        beside = [(path.with_name(path.stem + end), folder / (STEM + ending)) for end, ending in ends.items()]
        wanted = [(path, target), *(pair for pair in beside if pair[0].is_file())]
    else:
        beside = [(one, folder / (STEM + one.name[len(path.stem) :])) for one in path.parent.glob(f"{path.stem}.*")]
        wanted = [*(pair for pair in beside if pair[0].is_file()), (path, target)]
    for source, copy in wanted:
        left -= _copy(source, copy, left, path.name)
    if target.is_file() and target.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty", [Fault("it has no bytes", "Copy it again", file=path.name)])
    return target


def _copy(source: Path, target: Path, most: int, name: str) -> int:
    """Copy a plain file of at most so many bytes; a pipe or a device is refused without waiting for it."""
    handle = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    copied = 0
    with open(handle, "rb") as file:  # noqa: PTH123 - by its handle, so that nobody exchanges it in between
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise unreadable(name, "it is no plain file", USE)
        with target.open("wb") as copy:
            while chunk := file.read(CHUNK):
                copied += len(chunk)
                if copied > most:
                    raise TooLarge(f"{name} has more bytes than are taken at once; send it in parts")
                copy.write(chunk)
    return copied


def _run(request: Request, out: Path, wall_s: float | None) -> str:
    """Run one child to its end; how it ended where that was not well, and `late` where it was ended."""
    command = [sys.executable, "-I", "-X", "utf8", "-c", START.format("child"), _root()]
    with (out.parent / "stderr").open("wb") as complaints:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=_environment(out),
            cwd=out,
            start_new_session=True,
        )
        try:
            child.communicate(json.dumps(asdict(request)).encode(), timeout=wall_s)
        except subprocess.TimeoutExpired:
            return "late"
        finally:
            _end(child)
    if child.returncode == 0:
        return ""
    if child.returncode < 0:
        return signal.Signals(-child.returncode).name
    said = (out.parent / "stderr").read_bytes()[-2_000:].decode("utf-8", "replace").strip()
    return said.splitlines()[-1] if said else f"exit {child.returncode}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()


def _environment(out: Path) -> dict[str, str]:
    folders = dict.fromkeys(("TMPDIR", "TEMP", "TMP", "CPL_TMPDIR", "SQLITE_TMPDIR"), str(out))
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **ENVIRONMENT, **folders}


def _root() -> str:
    return str(Path(layers.__file__).resolve().parent.parent)


@lru_cache(maxsize=1)
def _vector_drivers() -> tuple[str, ...]:
    import pyogrio

    return tuple(pyogrio.list_drivers())


@lru_cache(maxsize=1)
def _grid_drivers() -> tuple[str, ...]:
    import rasterio

    with rasterio.Env() as env:
        return tuple(env.drivers())


# --- what it hands back -----------------------------------------------------------------------------


@contextlib.contextmanager
def _own(path: Path, most: int, name: str) -> Iterator[BinaryIO]:
    """A plain file that the child wrote, not a link it made and not more than agreed."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise unreadable(name, "what was read of it cannot be found") from error
    with open(handle, "rb") as file:  # noqa: PTH123
        said = os.fstat(handle)
        if not stat.S_ISREG(said.st_mode) or said.st_size > most:
            raise unreadable(name, "what was read of it cannot be used")
        yield file


def _answer(out: Path, name: str, end: str) -> Answer:
    """The child's words, or the error that it or its end stands for."""
    if end == "late" or end in ("SIGXCPU", "SIGKILL"):
        raise TooLarge(f"{name} needs more time or memory to be read than one file may take; send it in parts")
    if end:
        raise unreadable(name, f"reading it broke down ({end[:200]})")
    with _own(out / WORDS, WORDS_BYTES, name) as file:
        told = file.read()
    try:
        words: Any = json.loads(told)
        if "answer" in words:
            return TypeAdapter(Answer).validate_python(words["answer"])
        kind, message = ERRORS[words["error"]], str(words["message"])
        if issubclass(kind, BadInput):
            raise kind(message, TypeAdapter(list[Fault]).validate_python(words["faults"]))
        raise kind(message, **{str(key): value for key, value in words.get("facts", {}).items()})
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(name, "what was read of it cannot be understood") from error


def _table(place: Path, answer: Answer, name: str, limits: Limits, checked: bool) -> tuple[pd.DataFrame, Geoms]:
    """Attributes and geometries; None for a geometry that no parser should see or that GEOS cannot read."""
    try:
        with _own(place, limits.answer_bytes, name) as file:
            table = pa.ipc.open_file(pa.py_buffer(file.read())).read_all()
        if checked:
            table.validate(full=True)
            strange = [
                field.name
                for field in table.schema
                if not any(getattr(pa.types, f"is_{kind}")(field.type) for kind in PLAIN)
            ]
            if strange or table.schema.names[-1:] != [GEOMETRY] or not pa.types.is_binary(table.schema.types[-1]):
                raise unreadable(name, f"what was read of it is no plain table ({', '.join(strange)[:100]})")
    except pa.ArrowException as error:
        raise unreadable(name, "what was read of it cannot be understood") from error
    last = table.num_columns - 1
    shapes = [_geometries(chunk, checked) for chunk in table.column(last).chunks]
    frame = table.remove_column(last).to_pandas()
    for column, kind in enumerate(table.schema.types[:-1]):
        values = frame.iloc[:, column]
        if pa.types.is_boolean(kind) and values.dtype == object:
            frame.isetitem(column, values.astype(float))
        elif pa.types.is_string(kind) and table.schema.names[column] in answer.times:
            frame.isetitem(column, _times(values))
    empty: Geoms = np.empty(0, dtype=object)
    return frame, np.concatenate([empty, *shapes])


def _geometries(chunk: Any, checked: bool) -> Geoms:
    values = chunk.to_numpy(zero_copy_only=False)
    if checked:
        values = np.where(wkb.judge(chunk) == wkb.PLAIN, values, None)
    with np.errstate(invalid="ignore"):  # what is not a number is rejected by name later
        made: Geoms = shapely.from_wkb(values, on_invalid="ignore")
    return made


def _times(said: pd.Series) -> pd.Series:
    """ISO 8601 text as times, in UTC where offsets are mixed; left as text where it is none."""
    for in_utc in (False, True):
        with contextlib.suppress(ValueError, TypeError):
            times: pd.Series = pd.to_datetime(said, format="ISO8601", utc=in_utc).dt.as_unit("ms")
            return times
    return said


def _crs(said: str | None, name: str) -> str | None:
    """WKT or an authority's code; GeoParquet says it as PROJJSON."""
    if said is None or not said.startswith("{"):
        return said
    try:
        wkt: str = CRS.from_json(said).to_wkt()
    except CRSError as error:
        raise unreadable(name, "its CRS is none that PROJ knows", "Write the file anew with a known CRS") from error
    return wkt
