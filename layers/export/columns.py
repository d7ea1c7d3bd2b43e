"""A layer's attributes as typed columns, and the names they get in a format that does not take ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from layers.errors import BadInput, Fault
from layers.records import Bools
from layers.schema import Role

# --- types ----------------------------------------------------------------------------------------


def typed(table: pd.DataFrame, role: Role) -> pa.Table:
    """The attributes as Arrow columns: text, double, int64, bool, date32 or timestamp; null is unknown.

    A column of the role has the role's type; any other the type of what stands in it, and text where that is mixed.
    """
    declared = {column.name: column.type for column in role.columns}
    return pa.table({str(name): _typed(table[name], declared.get(str(name))) for name in table.columns})


def _typed(values: pd.Series, declared: str | None) -> pa.Array:
    if declared == "date":
        stamps = pd.to_datetime(values, errors="coerce", format="%Y-%m-%d")
        if (stamps.notna() == values.notna()).all():
            return pa.array(stamps.dt.date, type=pa.date32(), from_pandas=True)
    if declared == "boolean":
        return pa.array(values.astype("boolean"), type=pa.bool_())
    if declared in ("number", "integer"):
        numbers = pd.to_numeric(values).astype(float)
        whole = declared == "integer" and (numbers.dropna() % 1 == 0).all()
        return pa.array(numbers.astype("Int64") if whole else numbers, from_pandas=True)
    return _inferred(values) if declared is None else _words(values)


def _inferred(values: pd.Series) -> pa.Array:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(values):
        return pa.array(values, from_pandas=True).cast(pa.timestamp("ms"), safe=False)
    if pd.api.types.is_bool_dtype(values.dtype):
        return pa.array(values.astype("boolean"), type=pa.bool_())
    if pd.api.types.is_integer_dtype(values.dtype):
        return _integers(values)
    if pd.api.types.is_float_dtype(values.dtype):
        return pa.array(values.astype(float), from_pandas=True)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "boolean":
        return pa.array(values.astype("boolean"), type=pa.bool_())
    if kind == "integer":
        return _integers(values)
    if kind in ("floating", "mixed-integer-float", "decimal"):
        return pa.array(pd.to_numeric(values).astype(float), from_pandas=True)
    if kind == "date":
        return pa.array(values, type=pa.date32(), from_pandas=True)
    if kind == "datetime":
        return _inferred(pd.to_datetime(values))
    return _words(values)


def _integers(values: pd.Series) -> pa.Array:
    try:
        return pa.array(values.astype("Int64"), type=pa.int64())
    except (OverflowError, TypeError, ValueError):  # past 64 bits: digits, not a rounded number
        return _words(values)


def _words(values: pd.Series) -> pa.Array:
    said = [None if _unsaid(one) else one if isinstance(one, str) else _word(one) for one in values]
    return pa.array(said, type=pa.string())


def _unsaid(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)


def is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type))


def texts(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if is_text(table[name])]


def replaced(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def where(column: pa.ChunkedArray, test: Any) -> Bools:
    """(N,) whether `test` holds; unknown counts as no."""
    found: Bools = pc.fill_null(test(column), False).to_numpy().astype(bool)
    return found


# --- names ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """What a format asks of its field names.

    `most` bytes in its encoding (0: any length); `plain` where nothing but letters, digits and `_` may stand in them;
    `taken` names that mean something to the format.
    """

    most: int = 0
    plain: bool = False
    taken: frozenset[str] = frozenset()

    def of(self, columns: Sequence[str], encoding: str = "UTF-8") -> dict[str, str]:
        """Our name -> the file's: as it is where it fits, else cut between characters and numbered until unique.

        >>> Names(most=10).of(["patch_area_m2", "patch_area_ha", "规划用途名称"], "GB18030")
        {'patch_area_m2': 'patch_area', 'patch_area_ha': 'patch_ar_2', '规划用途名称': '规划用途名'}
        """
        given = {name: self._fitted(name, encoding) for name in columns}
        used = {name.lower() for name in columns if given[name] == name} | {name.lower() for name in self.taken}
        seen: set[str] = set()
        for name, wish in given.items():
            if wish == name and wish.lower() not in seen | {one.lower() for one in self.taken}:
                seen.add(wish.lower())
                continue
            free, number = wish, 1
            while free.lower() in used | seen:
                number += 1
                tail = f"_{number}"
                free = cut(wish, self.most - len(tail), encoding) + tail if self.most else wish + tail
            given[name] = free
            seen.add(free.lower())
        return given

    def _fitted(self, name: str, encoding: str) -> str:
        if self.plain:
            name = "".join(one if one.isalnum() or one == "_" else "_" for one in name)
            name = name if name and not name[0].isdigit() else f"_{name}"
        return cut(name, self.most, encoding) if self.most else name


def cut(text: str, most: int, encoding: str) -> str:
    """As much of a text as fits in `most` bytes, never half a character.

    >>> cut("红线a", 5, "GB18030"), cut("红线a", 3, "GB18030")
    ('红线a', '红')
    """
    while len(text.encode(encoding)) > most:
        text = text[: max(len(text) - max((len(text.encode(encoding)) - most) // 4, 1), 0)]
    return text


def free_name(name: str, taken: Sequence[str]) -> str:
    """The name, numbered where it is taken; upper and lower case count as one."""
    free, number = name, 1
    while free.lower() in {one.lower() for one in taken}:
        number += 1
        free = f"{name}_{number}"
    return free


def type_name(column: pa.ChunkedArray) -> str:
    kinds = {"string": "text", "double": "number", "int64": "integer", "bool": "boolean", "date32[day]": "date"}
    return kinds.get(str(column.type), "datetime")


def only(columns: Iterable[str], wanted: Sequence[str] | None, file: str) -> list[str]:
    """The columns to write, in the order asked for. BadInput names every one that is not there."""
    have = list(columns)
    if wanted is None:
        return have
    faults = [
        Fault("the layer has no such column", f"Its columns are {', '.join(have)}", file=file, field=name)
        for name in wanted
        if name not in have
    ]
    if faults:
        raise BadInput(f"the fields asked for {file} are not all there", faults)
    return list(dict.fromkeys(wanted))
