"""What each role's table may hold, and making a survey's table conform to it.

`roles.yaml` is the table; this module reads it and applies it. A frame that conforms has our column names,
a unique text `id`, typed values, and null where the survey said nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from layers import codes
from layers.errors import BadInput, Fault, UnknownName
from layers.records import Ints

TRUE = frozenset({"true", "1", "1.0", "yes", "y", "t", "是"})
FALSE = frozenset({"false", "0", "0.0", "no", "n", "f", "否"})
WANTED = {"number": "a number", "integer": "a whole number", "boolean": "yes or no", "date": "a date as 2024-01-31"}
COARSE = r"\d{4}年?|\d{4}[-/.年]?\d{1,2}月?"  # a year or a month, no day
MAX_NOTES = 10_000  # per column, one by one; past that they are counted


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    min: float | None = None
    max: float | None = None
    codes: tuple[str, ...] = ()
    measured: bool = False


@dataclass(frozen=True)
class Role:
    """One layer role: its names, the geometry it takes, its columns and the field names surveys use.

    Columns that are `measured` are made from the geometries at import and never read from a file. What is `kept` the
    county keeps itself, and nobody imports it.
    """

    name: str
    zh: str
    en: str
    geometry: str
    columns: tuple[Column, ...]
    required: frozenset[str]
    aliases: Mapping[str, tuple[str, ...]]
    kept: bool = False

    @property
    def is_raster(self) -> bool:
        return self.geometry == "raster"

    @property
    def measured(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.measured)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    text = files("layers").joinpath("roles.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@lru_cache(maxsize=1)
def roles() -> dict[str, Role]:
    """Every role, in the order of `roles.yaml`."""
    document = _document()
    columns = {
        name: Column(
            name,
            spec["type"],
            spec.get("min"),
            spec.get("max"),
            tuple(spec.get("codes", ())),
            spec.get("measured", False),
        )
        for name, spec in document["columns"].items()
    }
    areas = tuple(name for name, column in columns.items() if column.measured)
    return {
        name: Role(
            name,
            spec["zh"],
            spec["en"],
            spec["geometry"],
            tuple(
                replace(columns[c], codes=tuple(spec.get("codes", {}).get(c, columns[c].codes)))
                for c in (
                    "id",
                    *spec.get("columns", ()),
                    "synthetic",
                    *(areas if spec["geometry"] == "polygon" else ()),
                )
            ),
            frozenset(spec.get("required", ())),
            {column: tuple(aliases) for column, aliases in spec.get("aliases", {}).items()},
            spec.get("kept", False),
        )
        for name, spec in document["roles"].items()
    }


def role(name: str) -> Role:
    """The role of that name; UnknownName names them all."""
    try:
        return roles()[name]
    except KeyError:
        raise UnknownName(f"no layer role {name!r}; the roles are {', '.join(roles())}", role=name) from None


@dataclass(frozen=True)
class Conformed:
    """A table that conforms. `bound` says which field of the file each of our columns was read from, `renamed` under
    which name a field is kept that is called as a column of ours which the file does not fill."""

    table: pd.DataFrame
    bound: dict[str, str]
    notes: tuple[Fault, ...]
    renamed: dict[str, str]


def conform(table: pd.DataFrame, role: Role, fields: Mapping[str, str], *, file: str) -> Conformed:
    """A survey's attribute table in our columns.

    `fields` maps our column to the file's field, or to a constant written `=value`. A field nobody maps is kept
    under its own name. A value that cannot be read becomes null, which is *unknown* later, and is noted.

    Raises BadInput with every fault when a mapping or a required column is missing.
    """
    bound, faults = _bind(list(table.columns), role, fields, file)
    if faults:
        raise BadInput(f"the fields of {file} do not fit the role {role.name}", faults)
    notes: list[Fault] = []
    columns: dict[str, Any] = {}
    for column in role.columns:
        source = bound.get(column.name)
        if source is None:
            continue
        if source.startswith("="):
            columns[column.name] = pd.Series([source[1:]] * len(table), index=table.index, dtype=object)
        else:
            columns[column.name] = table[source]
    ids = _ids(columns.pop("id", None), role.name, len(table), file, notes)
    ours = pd.DataFrame({"id": ids}, index=table.index)
    for column in role.columns[1:]:
        if column.name in columns:
            ours[column.name] = _typed(columns[column.name], column, ids, role.name, file, notes)
    if {"code_system", "code"} <= columns.keys():
        _give_zeros_back(ours, columns["code"], role.name, file, notes)
    if "three_class" in {column.name for column in role.columns}:
        _classify(ours, role.name, file, notes)
    used = {source for source in bound.values() if not source.startswith("=")}
    taken = {name.lower() for name in ours.columns} | {"fid", "geom", "geometry", *role.measured}
    kept = {name: _free(name, taken) for name in table.columns if name not in used}
    ours = ours.join(table[list(kept)].rename(columns=kept))
    renamed = {name.lower(): free for name, free in kept.items() if name.lower() in role.measured}
    return Conformed(ours, bound, tuple(notes), renamed)


def _free(name: str, taken: set[str]) -> str:
    """The name, numbered where it is taken: a GeoPackage does not tell `Name` from `name`."""
    free, number = name, 1
    while free.lower() in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free.lower())
    return free


def _give_zeros_back(ours: pd.DataFrame, said: pd.Series, role: str, file: str, notes: list[Fault]) -> None:
    """Repair codes that were kept as numbers, and say so: 101 or "101.0" of a survey is 0101."""
    if not pd.api.types.is_any_real_numeric_dtype(said) and not ours["code"].str.contains(".", regex=False).any():
        return
    text = said.map(lambda v: str(v).strip())
    as_number = text.str.fullmatch(r"\d+\.0+") | pd.api.types.is_any_real_numeric_dtype(said)
    bare = ours["code"].where(~as_number, ours["code"].astype(object).str.replace(r"\.0+$", "", regex=True))
    whole = codes.with_zeros(ours["code_system"], bare)
    changed = as_number & whole.notna() & (whole != ours["code"])
    pairs = zip(text[changed], ours["code_system"][changed], whole[changed], strict=True)
    for (number, system, code), count in Counter(pairs).most_common():
        notes.append(
            Fault(
                f"{count} features carry the number {number}, read as {code!r} of {system!r}",
                "A code is text and its leading zero counts; give the field as text",
                file=file,
                layer=role,
                field="code",
            )
        )
    ours["code"] = ours["code"].mask(changed, whole)


def _classify(ours: pd.DataFrame, role: str, file: str, notes: list[Fault]) -> None:
    """Look the land-use codes up, so that every reader sees one reading of them; a file's own columns stand."""
    said = ours[["code_system", "code"]].fillna("")
    pairs = said.drop_duplicates().reset_index(drop=True)
    pair = pd.MultiIndex.from_frame(pairs).get_indexer(pd.MultiIndex.from_frame(said))
    looked_up = codes.classify(pairs["code_system"], pairs["code"]).take(pair).set_axis(ours.index)
    for name in looked_up:
        ours[name] = ours[name].where(ours[name].notna(), looked_up[name]) if name in ours else looked_up[name]
    unknown = said[ours["three_class"].isna()]
    for (system, code), count in Counter(unknown.itertuples(index=False, name=None)).most_common():
        notes.append(
            Fault(
                f"{count} features carry {code!r} of {system!r}, whose class is not known",
                f"The systems are {', '.join(codes.systems())}; until then their class counts as unknown",
                file=file,
                layer=role,
                field="code",
            )
        )


def _bind(names: list[str], role: Role, fields: Mapping[str, str], file: str) -> tuple[dict[str, str], list[Fault]]:
    ours = {column.name for column in role.columns if not column.measured}
    faults = [
        Fault(
            f"the role {role.name} has no column {column!r}",
            f"Its columns are {', '.join(sorted(ours))}",
            file=file,
            field=column,
        )
        for column in fields
        if column not in ours
    ]
    bound: dict[str, str] = {}
    lower = {name.lower(): name for name in reversed(names)}

    def field(alias: str) -> str | None:
        return alias if alias in names else lower.get(alias.lower())

    for column in (c.name for c in role.columns if not c.measured):
        wanted = fields.get(column)
        if wanted is not None and wanted.startswith("="):
            bound[column] = wanted
        elif wanted is not None:
            if (name := field(wanted)) is not None:
                bound[column] = name
            else:
                fix = f"Its fields are {', '.join(names) or 'none'}"
                faults.append(Fault(f"the file has no field {wanted!r}", fix, file=file, field=wanted))
        else:
            known = (column, *role.aliases.get(column, ()))
            found = next((name for alias in known if (name := field(alias)) is not None), None)
            if found is not None:
                bound[column] = found
    faults.extend(
        Fault(
            f"the role {role.name} needs {column!r} and the file does not have it",
            f"Name the field with --field {column}=FIELD, or give one value for all with --field {column}==VALUE",
            file=file,
            field=column,
        )
        for column in sorted(role.required - bound.keys())
        if fields.get(column) is None
    )
    return bound, faults


def _ids(values: pd.Series | None, role: str, count: int, file: str, notes: list[Fault]) -> pd.Series:
    """Unique text ids: the survey's own where they are, else made from the row; the second of a pair is numbered."""
    made = pd.Series([f"{role}-{n}" for n in range(1, count + 1)], dtype=object)
    if values is None:
        return made
    said = _text(values).reset_index(drop=True)
    missing = said.isna()
    if not missing.any() and said.is_unique:
        return said
    wanted = said.where(~missing, made)
    ids = wanted.copy()
    again = wanted.iloc[np.argsort(missing, kind="stable")].duplicated().sort_index()  # a made id gives way
    taken, number = set(ids), Counter[str]()
    for row in map(int, np.flatnonzero(again)):
        free = stem = str(wanted[row])
        while free in taken:
            number[stem] += 1
            free = f"{stem}#{number[stem] + 1}"
        taken.add(free)
        ids[row] = free

    def fault(row: int) -> Fault:
        reason = "it has no id" if missing[row] else f"the id {said[row]!r} stands more than once"
        fix = f"It was loaded as {ids[row]}; give it one of its own"
        return Fault(reason, fix, file=file, layer=role, feature=str(wanted[row]), field="id")

    _note(notes, np.flatnonzero(missing | again), fault)
    return ids


def _note(notes: list[Fault], rows: Ints, fault: Callable[[int], Fault]) -> None:
    """Note each row, and past MAX_NOTES how many more there are."""
    notes.extend(fault(int(row)) for row in rows[:MAX_NOTES])
    if len(rows) > MAX_NOTES:
        more = f"{len(rows) - MAX_NOTES:,} more features have the same fault"
        notes.append(replace(notes[-1], reason=more, feature=None))


def _text(values: pd.Series) -> pd.Series:
    """Text of values, blank and null are null; whole floats lose their `.0`, because surveys store codes as numbers."""
    if pd.api.types.is_float_dtype(values):
        finite = values[np.isfinite(values)]
        if (finite == np.floor(finite)).all():
            whole = values.map(lambda v: None if pd.isna(v) else str(int(v)) if np.isfinite(v) else str(v))
            return whole.astype(object)
    try:
        words = pa.array(values, pa.large_string(), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError):  # not words alone
        text = values.map(lambda v: None if pd.isna(v) or str(v).strip() == "" else str(v).strip())
        return text.astype(object)
    words = pc.utf8_trim_whitespace(words)
    words = pc.if_else(pc.equal(words, ""), None, words)
    return pd.Series(words.to_numpy(zero_copy_only=False), index=values.index, name=values.name, dtype=object)


def _typed(values: pd.Series, column: Column, ids: pd.Series, role: str, file: str, notes: list[Fault]) -> pd.Series:
    """Values in the column's type; what cannot be read is null and noted."""
    if column.type == "number" or column.type == "integer":
        said = values if pd.api.types.is_any_real_numeric_dtype(values) else _text(values)
        read = pd.to_numeric(said, errors="coerce").astype(float)
        bad = said.notna() & read.isna() | np.isinf(read)
        if column.type == "integer":
            bad |= read % 1 > 0
        if column.min is not None:
            bad |= read < column.min
        if column.max is not None:
            bad |= read > column.max
        read = read.mask(bad)
    elif column.type == "boolean":
        said = _text(values)
        lower = said.map(lambda v: v if v is None else str(v).lower())
        read = lower.map(lambda v: True if v in TRUE else False if v in FALSE else None).astype(object)
        bad = said.notna() & read.isna()
    elif column.type == "date":
        stamps = pd.to_datetime(_days(values), errors="coerce", format="mixed")
        read = stamps.dt.strftime("%Y-%m-%d").astype(object).where(stamps.notna(), None)
        coarse = _text(values).astype("str").str.fullmatch(COARSE).to_numpy(dtype=bool)
        read = read.mask(coarse, None)  # which day of the year decides whether an approval still holds
        bad = _text(values).notna() & (stamps.isna() | coarse)
    else:
        read = _text(values)
        spelled = _document()["spellings"].get(column.name, {})
        ours = {alias: code for code, aliases in spelled.items() for alias in aliases}
        if (other := read.isin(list(ours))).any():
            read = read.mask(other, read.map(ours)).astype(object)
        bad = read.notna() & ~read.isin(column.codes) if column.codes else pd.Series(False, index=read.index)
        read = read.mask(bad, None) if column.codes else read
    allowed = f"one of {', '.join(column.codes)}" if column.codes else WANTED.get(column.type, column.type)
    least = f" of at least {column.min:g}" if column.min is not None else ""
    least += f" and at most {column.max:g}" if column.max is not None else ""
    _note(
        notes,
        np.flatnonzero(bad.to_numpy()),
        lambda row: Fault(
            f"{str(values.iloc[row])[:60]!r} cannot be used",
            f"Give {allowed}{least}; until then it counts as unknown",
            file=file,
            layer=role,
            feature=str(ids.iloc[row]),
            field=column.name,
        ),
    )
    return read


def _days(values: pd.Series) -> pd.Series:
    """Dates as surveys write them (the number 20240131, 2024年1月31日, with an hour) in a form that pandas reads."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values
    text = _text(values).astype("str")
    return text.str.replace(r"[T ]\d{1,2}:.*$", "", regex=True).str.replace(r"[年月]", "-", regex=True).str.rstrip("日")
