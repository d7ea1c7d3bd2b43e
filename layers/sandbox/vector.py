"""A vector layer through GDAL, as Arrow. Only in the child: `allow` has to come before the first import of GDAL."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from layers.errors import BadInput, Fault, UnknownName
from layers.sandbox.answers import TABLE, Answer
from layers.sandbox.kinds import SHP, TIFF, Kind, unreadable
from layers.sandbox.limits import Limits
from layers.sandbox.unpack import STEM

# What GDAL must not do, whatever a file asks for. Read once, when it is loaded.
OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no look at what lies beside
    "GDAL_PAM_ENABLED": "NO",  # no .aux.xml
    "GDAL_DRIVER_PATH": "disable",  # no plugins
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "OGR_SQLITE_STATIC_VIRTUAL_OGR": "NO",  # no virtual tables that open files
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "/vsicurl/nothing",
    "GDAL_HTTP_MAX_RETRY": "0",
    "PROJ_NETWORK": "OFF",
}


BATCH = 16_384  # a wrong encoding is found out early


def allow(kind: Kind, drivers: tuple[str, ...]) -> None:
    """Leave GDAL the one driver of that kind, and no way out."""
    os.environ.update(OPTIONS)
    skipped = [name for name in drivers if name != kind.driver]
    os.environ["GDAL_SKIP" if kind is TIFF else "OGR_SKIP"] = ",".join(skipped)


def read(
    path: Path,
    kind: Kind,
    name: str,
    stem: str,
    out: Path,
    layer: str | None,
    encoding: str | None,
    limits: Limits | None,
) -> Answer:
    """Write one layer to `out` as Arrow and say what it is; faults speak of `name`, the file as its sender knows it."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    warnings.simplefilter("ignore")  # of what GDAL could not understand in a file, its rows tell
    if "OGR_SKIP" in os.environ and (more := set(pyogrio.list_drivers()) - {kind.driver}):
        raise RuntimeError(f"GDAL has more drivers than it should: {', '.join(sorted(more))}")
    try:
        names = [str(one) for one in pyogrio.list_layers(path)[: limits.layers if limits else None, 0]]
        given = _choose(["" if one == STEM else one for one in names], layer, name, stem)
        chosen = given or STEM
        info = pyogrio.read_info(path, layer=chosen, encoding=encoding)
        from layers.sandbox import tables

        tables.check_size(name, len(info["fields"]), info["features"], limits)
        if info["geometry_type"] is None:
            reason = Fault(
                "the layer has no geometry column", "Choose another with --layer", file=name, layer=given or stem
            )
            raise BadInput(f"{name} holds a table without geometry", [reason])
        times = [str(f) for f, d in zip(info["fields"], info["dtypes"], strict=True) if str(d).startswith("datetime64")]
        spoken = _decoded(path, kind, chosen, encoding, out / TABLE, name, limits, info["encoding"])
    except UnicodeDecodeError as error:
        raise misspoken(name, f"{error.reason} at byte {error.start}") from error
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(name, said(error, path, stem)) from error
    return Answer(kind.name, given or stem, spoken, info["crs"], times)


def said(error: Exception, path: Path, stem: str) -> str:
    """What GDAL says, with the file's own name instead of the one it goes by in here."""
    first = str(error).split("; ")[0]
    return first.replace(f"{path.parent}/", "").replace(STEM, stem)[:300].rstrip(".")


def misspoken(name: str, reason: str) -> BadInput:
    fault = Fault(reason, "Say --encoding GB18030 or UTF-8", file=name)
    return BadInput(f"{name} is not in the encoding it claims", [fault])


def _choose(names: list[str], layer: str | None, name: str, stem: str) -> str:
    """The layer asked for, or the only one; "" stands for the one that is named by its file."""
    shown = [one or stem for one in names]
    if layer is not None:
        if layer not in shown:
            raise UnknownName(f"{name} has no layer {layer!r}; it has {', '.join(shown[:100])}", layer=layer)
        return names[shown.index(layer)]
    if len(names) == 1:
        return names[0]
    reason = "it has no layer" if not names else f"it has {len(names)} layers: {', '.join(shown[:20])}"
    raise BadInput(f"which layer of {name}?", [Fault(reason, "Choose one with --layer", file=name)])


def _decoded(
    path: Path, kind: Kind, layer: str, encoding: str | None, place: Path, name: str, limits: Limits | None, found: str
) -> str | None:
    """Write one layer, its text decoded as the operator says, else as the file says; the encoding where it was chosen.

    A Shapefile that says nothing is tried as UTF-8 and then read as GB18030; GDAL would take it for Latin.
    """
    from layers.sandbox import tables

    tried: list[str | None] = [encoding]
    if encoding is None and kind is SHP and found == "ISO-8859-1":
        tried = ["UTF-8", "GB18030"]
    for last in tried:
        try:
            _stream(path, kind, layer, last, place, name, limits)
            break
        except (UnicodeDecodeError, tables.NotText) as error:
            if last == tried[-1]:
                raise misspoken(name, str(error)) from error
    return last


def _stream(
    path: Path, kind: Kind, layer: str, encoding: str | None, place: Path, name: str, limits: Limits | None
) -> None:
    """Write one layer batch by batch, as GDAL has it in Arrow where that is all we need."""
    from pyarrow import ArrowException
    from pyogrio.raw import open_arrow

    from layers.sandbox import tables

    if encoding and kind is not SHP:  # GDAL decodes no text but a Shapefile's
        _through_library(path, layer, encoding, place, name, limits)
        return
    try:
        options = {"use_pyarrow": True, "datetime_as_string": True, "batch_size": BATCH}
        with open_arrow(path, layer=layer, encoding=encoding, **options) as (meta, rows):
            at = rows.schema.get_field_index(meta["geometry_name"] or "wkb_geometry")
            tables.write(rows, rows.schema, at, place, name, limits, codes=True)
    except tables.NotPlain:
        _through_library(path, layer, encoding, place, name, limits)
    except (ArrowException, OSError) as error:
        raise unreadable(name, str(error)[:300].rstrip(".")) from error


def _through_library(
    path: Path, layer: str, encoding: str | None, place: Path, name: str, limits: Limits | None
) -> None:
    """Write one layer by way of GDAL's own features: slower, with arcs drawn as short lines and any text decoded."""
    import pyarrow as pa
    from pyogrio.raw import read

    from layers.sandbox import tables

    meta, _, shapes, fields = read(path, layer=layer, encoding=encoding, datetime_as_string=True)
    columns = [pa.array(values, from_pandas=True) for values in fields] + [pa.array(shapes, pa.binary())]
    table = pa.table(columns, names=[*map(str, meta["fields"]), ""])
    tables.write(table.to_batches(), table.schema, table.num_columns - 1, place, name, limits)
