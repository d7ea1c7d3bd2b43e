"""A layer as a table for people: XLSX and CSV, every value through `layers.sheets`; geometry only on request."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from openpyxl import Workbook
from openpyxl.utils import get_column_letter

from layers import sheets
from layers.errors import BadInput, Fault
from layers.export.columns import free_name, texts, type_name, where
from layers.export.outgoing import BATCH, Outgoing
from layers.field_map import zh
from layers.units import SQUARE_METRES_PER_MU, rounded

MOST_ROWS = 1_048_575  # below the header
MOST_COLUMNS = 16_384
RISKY = "^[" + "".join(f"\\x{{{ord(mark):x}}}" for mark in sheets.RISKY) + "]"


def measured(out: Outgoing, in_metres: Any) -> None:
    """Columns that a table without geometry would miss: area in m² and 亩, length, or easting and northing.

    `in_metres` (N,) are the geometries in the working CRS. Areas are rounded half up, as registers print them, those
    that the import has measured, too.
    """
    for name in {"area_m2", "area_ellipsoid_m2"} & {*out.role.measured} & {*out.table.column_names}:
        out.change(name, pa.array(rounded(out.table[name].to_numpy(), 2), from_pandas=True))
    kinds = out.kinds
    columns: dict[str, Any] = {}
    if 2 in kinds:
        area = np.where(shapely.get_dimensions(in_metres) == 2, shapely.area(in_metres), np.nan)
        columns |= {"area_m2": rounded(area, 2), "area_mu": rounded(area / SQUARE_METRES_PER_MU, 4)}
    if 1 in kinds:
        is_line = shapely.get_dimensions(in_metres) == 1
        columns["length_m"] = rounded(np.where(is_line, shapely.length(in_metres), np.nan), 2)
    if kinds == {0}:
        centre = shapely.centroid(in_metres)
        columns |= {"east_m": rounded(shapely.get_x(centre), 3), "north_m": rounded(shapely.get_y(centre), 3)}
    if out.with_wkt:
        columns["wkt"] = shapely.to_wkt(out.geometries, rounding_precision=9 if out.crs.is_geographic else 4)
    for name, values in columns.items():
        if name in out.role.measured and name in out.table.column_names:
            continue  # the import has measured it
        free = free_name(name, out.table.column_names)
        out.table = out.table.append_column(free, pa.array(values, from_pandas=True))
        out.names[free] = free


def xlsx(place: Path, out: Outgoing) -> None:
    """One sheet with a row per feature below one line of names, and one that says what the table is."""
    rows, columns = out.table.num_rows, out.table.num_columns
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        reason = (
            f"a sheet holds {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns; this layer has {rows:,} and {columns:,}"
        )
        raise BadInput("the layer does not fit a spreadsheet", [Fault(reason, "Use .csv, .parquet or .gpkg")])
    for name in texts(out.table):
        _note_unfit(out, name)
    book = Workbook(write_only=True)
    sheet = book.create_sheet(out.layer.role[:31])
    sheet.freeze_panes = "B2"
    for n, name in enumerate(out.table.column_names, 1):
        sheet.column_dimensions[get_column_letter(n)].width = 24 if name in ("id", "name", "code_name") else 14
    try:
        sheet.append(sheets.row(sheet, out.table.column_names))
        for values in _rows(out):
            sheet.append(sheets.row(sheet, values))
    except BaseException:
        sheet.close()  # its file in the temporary folder is still open
        raise
    told = book.create_sheet("说明 about")
    for line in (*out.about().items(), (), ("column", "中文名", "type")):
        told.append(sheets.row(told, line))
    for name in out.table.column_names:
        told.append(sheets.row(told, (name, zh().get(name, ""), type_name(out.table[name]))))
    book.save(place)
    book.close()


def csv_(place: Path, out: Outgoing) -> None:
    """Comma separated, UTF-8 with a byte order mark unless another encoding is asked for, every field in quotes."""
    out.spoken()
    marked = 0
    for name in texts(out.table):
        marked += int(where(out.table[name], lambda one: pc.match_substring_regex(one, RISKY)).sum())
    if marked:
        reason = f"{marked:,} texts would be worked out as formulas; they have an apostrophe in front"
        out.note(reason, "Take it off again where a program reads them, or use .xlsx")
    with place.open("w", encoding="utf-8-sig" if out.encoding == "UTF-8" else out.encoding, newline="") as file:
        lines = csv.writer(file, quoting=csv.QUOTE_ALL)
        lines.writerow([sheets.text(name) for name in out.table.column_names])
        for values in _rows(out):
            lines.writerow(map(sheets.text, values))


def _rows(out: Outgoing) -> Iterator[tuple[Any, ...]]:
    for start in range(0, out.table.num_rows, BATCH):
        some = out.table.slice(start, BATCH)
        yield from zip(*(column.to_pylist() for column in some.columns), strict=True)
        out.progress(start + some.num_rows)


def _note_unfit(out: Outgoing, name: str) -> None:
    unfit = [row for row, said in enumerate(out.table[name].to_pylist()) if said is not None and not sheets.fits(said)]
    if unfit:
        reason = f"a cell holds {sheets.MAX_TEXT:,} characters and no control characters; it was cut or has U+FFFD"
        out.note_rows(name, np.array(unfit), reason, "Use .gpkg to keep it")
