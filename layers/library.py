"""The project library as a file: XLSX, CSV or JSON, there and back, with every faulty row named.

An XLSX has a sheet of projects, and one each for their components, phases and milestones, keyed by the project's id.
A CSV has the projects alone; its last three columns hold those lists as JSON. A JSON file is a list of projects.

    projects, faults = read(Path("library.xlsx"))

What `layers.library_writing` writes reads back equal, but for this: spaces around a text are dropped, an empty
`equipment` or `gates` says nothing and is left out, a document whose number is 无 is none, and a number in an XLSX
keeps 15 digits, as spreadsheets do.
Formulas are not worked out: a formula is a fault, because the file keeps at best what it said the last time.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import openpyxl
from openpyxl.utils import get_column_letter
from pydantic import BaseModel, ValidationError

from layers.errors import BadInput, Fault, TooLarge
from layers.library_table import ABOUT, FLAT, MARKED, PARTS, PROJECTS, Sheet, Wrong, fault_of, value_of
from layers.records import Project
from layers.sandbox.limits import Limits

Form = Literal["xlsx", "csv", "json"]
FORMS: tuple[Form, ...] = get_args(Form)
Judge = Callable[[Project], Iterable[Fault]]

LIMITS = Limits(file_bytes=8 * 2**20, unpacked_bytes=128 * 2**20, members=500)
MOST_ROWS = 20_000  # of one sheet
MOST_COLUMNS = 702  # A to ZZ
MOST_LISTED = 10_000  # faults of one file
LAST_ROW = 100_000  # with the empty ones between
DECLARES = re.compile(rb"<!(DOCTYPE|ENTITY)")
FAR_CELL = re.compile(rb"""\br=["'][A-Z]{3,}[0-9]""")
FORMULA = object()


@dataclass(frozen=True)
class Row:
    """One row as its sheet says it: the number people see, and a value for each heading that has one."""

    number: int
    cells: Mapping[str, Any]


@dataclass
class Table:
    """The rows of one sheet, and what is wrong with it as a table."""

    sheet: Sheet
    title: str | None
    rows: list[Row]
    faults: list[Fault]


@dataclass
class Draft:
    """A record under way: its place in the file, what was read of it and what is wrong with it."""

    place: Fault
    values: dict[str, Any]
    faults: list[Fault] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # fields whose cell could not be read

    @property
    def key(self) -> str:
        return str(self.values.get("id") or self.values.get("name") or "")

    def add(self, fault: Fault) -> None:
        self.faults.append(replace(self.place, reason=fault.reason, fix=fault.fix, field=fault.field))


# --- reading ---------------------------------------------------------------------------------------


def read(path: Path, *, name: str | None = None, judge: Judge | None = None) -> tuple[list[Project], list[Fault]]:
    """The projects of a file that are good, and what is wrong with each of the others.

    Parameters
    ----------
    name : what its sender calls the file; its ending decides how it is read
    judge : what else may be wrong with a project, for example an industry that nobody knows

    Raises
    ------
    BadInput : the file as a whole cannot be read
    TooLarge : it is larger than a library may be
    """
    name = name or path.name
    form = form_of(name)
    try:
        size = path.stat().st_size
        if size > LIMITS.file_bytes:
            raise TooLarge(f"{name} has {size:,} bytes; a library may have {LIMITS.file_bytes:,}")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name} cannot be read", [Fault(str(error.strerror), "Check the path", file=name)]) from error
    if form == "json":
        drafts, faults = _of_json(data, name)
    else:
        tables = _of_xlsx(data, name) if form == "xlsx" else [_of_csv(data, name)]
        drafts, faults = _drafts(tables, name)
    projects: list[Project] = []
    known: dict[str, str] = {}
    for draft in drafts:
        project = _made(draft, Project)
        if draft.key and draft.key in known:
            said = f"{draft.key!r} is on {known[draft.key]} already"
            draft.add(Fault(said, "Give every project an id of its own", field="id"))
        known.setdefault(draft.key, str(draft.place.feature))
        for fault in judge(project) if project is not None and judge is not None else ():
            draft.add(fault)
        faults += draft.faults
        if project is not None and not draft.faults:
            projects.append(project)
    if len(faults) > MOST_LISTED:
        more = f"{len(faults) - MOST_LISTED:,} more faults are not listed"
        faults = [*faults[:MOST_LISTED], Fault(more, "Correct these first", file=name)]
    return projects, faults


def form_of(name: str) -> Form:
    """By a file's ending; BadInput for any other.

    >>> form_of("项目库.XLSX")
    'xlsx'
    """
    ending = Path(name).suffix.lower().lstrip(".")
    if ending not in FORMS:
        fix = f"Use {', '.join('.' + form for form in FORMS)}"
        raise BadInput(f"a project library is not kept as {ending or 'that'}", [Fault("unknown kind", fix, file=name)])
    return next(form for form in FORMS if form == ending)


def _of_json(data: bytes, name: str) -> tuple[list[Draft], list[Fault]]:
    try:
        said = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        fault = Fault(str(error) or "too deep", "Send a JSON list of projects, UTF-8", file=name)
        raise BadInput(f"{name} is not JSON", [fault]) from error
    if isinstance(said, dict) and set(said) == {"projects"}:  # as GET /projects answers
        said = said["projects"]
    if not isinstance(said, list):
        raise BadInput(f"{name} holds no list", [Fault("it is no list", "Send a JSON list of projects", file=name)])
    if len(said) > MOST_ROWS:
        raise TooLarge(f"{name} holds {len(said):,} projects; a library may have {MOST_ROWS:,}")
    drafts = []
    for number, one in enumerate(said, 1):
        draft = Draft(_place(name, "projects", f"project {number}"), one if isinstance(one, dict) else {})
        draft.place = _place(name, "projects", f"project {number} {draft.key}".strip())
        if not isinstance(one, dict):
            draft.add(Fault(f"{type(one).__name__} is no project", "Write an object of fields and values"))
            draft.lost.add("")
        drafts.append(draft)
    return drafts, []


def _of_csv(data: bytes, name: str) -> Table:
    for encoding in ("utf-8-sig", "gb18030"):  # the second is what spreadsheets here save by themselves
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        fault = Fault("it is neither UTF-8 nor GB18030", "Save it as CSV UTF-8", file=name)
        raise BadInput(f"{name} is not text", [fault])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [[_unmarked(value) for value in row] for row in _counted(reader, name)]
    except csv.Error as error:
        fault = Fault(f"line {reader.line_num}: {error}", "Save it as CSV again", file=name)
        raise BadInput(f"{name} is no whole CSV file", [fault]) from error
    return _table(FLAT, None, rows, name)


def _unmarked(value: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from working a text out."""
    return value[1:] if MARKED.match(value) else value


def _of_xlsx(data: bytes, name: str) -> list[Table]:
    _refuse_bombs(data, name)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        pages = {page.title: _rows(page, name) for page in book.worksheets}
    except (BadInput, TooLarge):
        raise
    except Exception as error:  # openpyxl raises whatever its parts do
        fault = Fault(f"{type(error).__name__}: {error}"[:300], "Save it as .xlsx again", file=name)
        raise BadInput(f"{name} cannot be read as a workbook", [fault]) from error
    pages = {title: rows for title, rows in pages.items() if rows and title not in (ABOUT, "说明", "about")}
    if len(pages) == 1:
        return [_table(PROJECTS, title, rows, name) for title, rows in pages.items()]
    named = {title: _sheet_of(title) for title in pages}
    wanted = (PROJECTS, *PARTS)
    faults = [
        Fault("the sheet is none of a library's", f"Call it {' or '.join(one.title for one in wanted)}, or delete it",
              file=name, layer=title)
        for title, sheet in named.items() if sheet is None
    ]  # fmt: skip
    for sheet in wanted:
        count = sum(one is sheet for one in named.values())
        if count > 1 or (count == 0 and sheet is PROJECTS):
            faults.append(Fault(f"{count} sheets are called {sheet.title}", "Have one", file=name))
    if faults:
        raise BadInput(f"{name} is no project library", faults)
    return [_table(sheet, title, pages[title], name) for title, sheet in named.items() if sheet is not None]


def _sheet_of(title: str) -> Sheet | None:
    words = title.strip().split()
    return next((one for one in (PROJECTS, *PARTS) if words and set(words) <= {one.zh, one.field}), None)


def _refuse_bombs(data: bytes, name: str) -> None:
    """Raise for a zip that unpacks to more than it may, or XML that declares entities or cells far out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            unpacked = sum(one.file_size for one in members)
            if len(members) > LIMITS.members or unpacked > min(LIMITS.unpacked_bytes, LIMITS.ratio * len(data)):
                raise TooLarge(
                    f"{name} unpacks to {unpacked:,} bytes in {len(members):,} parts: no library is as large"
                )
            for one in members:
                content = archive.read(one).replace(b"\0", b"")  # UTF-16, too
                if DECLARES.search(content):
                    raise BadInput(f"{name} cannot be read", [
                        Fault(f"{one.filename[:80]} declares a document type", "Save it as .xlsx again", file=name)
                    ])  # fmt: skip
                if FAR_CELL.search(content):
                    raise TooLarge(f"{name} has cells past column ZZ; delete the columns that are not used")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        fix = "Save it as .xlsx, without a password (an .xls is none)"
        raise BadInput(f"{name} is no .xlsx file", [Fault(str(error)[:300], fix, file=name)]) from error
    except zlib.error as error:
        raise BadInput(f"{name} is no whole .xlsx file", [Fault(str(error), "Send it again", file=name)]) from error


def _rows(page: Any, name: str) -> list[list[Any]]:
    """The rows of a worksheet, empty where nothing stands; without the empty rows at its end."""
    if not hasattr(page, "reset_dimensions"):
        return []  # a chart has a page of its own
    page.reset_dimensions()  # what a file says of its own size may be wrong
    found = list(_counted(_values(page), name))
    while found and not found[-1]:
        found.pop()
    return found


def _values(page: Any) -> Iterator[list[Any]]:
    left_out = None  # rows that a file leaves out come as one and the same tuple, maybe a million times
    for row in page.iter_rows(max_col=MOST_COLUMNS):
        if row is left_out or all(one.value is None for one in row):
            left_out = row
            yield []
        else:
            yield [FORMULA if one.data_type == "f" else one.value for one in row]


def _counted(rows: Iterable[list[Any]], name: str) -> Iterator[list[Any]]:
    filled = 0
    for number, row in enumerate(rows, 1):
        filled += bool(row)
        if filled > MOST_ROWS or number > LAST_ROW:
            raise TooLarge(f"{name} has more than {MOST_ROWS:,} rows, or more than {LAST_ROW:,} with the empty ones")
        yield row


def _table(sheet: Sheet, title: str | None, rows: Sequence[Sequence[Any]], name: str) -> Table:
    """Rows below their headings. A heading is a column's name in Chinese, in English or both; its unit may be left."""
    told = title or sheet.field
    known = {word: one.field for one in sheet.columns for word in (one.zh, one.field, one.zh.partition("（")[0])}
    known |= {one.heading: one.field for one in sheet.columns}
    start = next((n for n, row in enumerate(rows) if any(not _blank(value) for value in row)), None)
    if start is None:
        raise BadInput(f"{name} is empty", [Fault("there is no row", "Start from the template", file=name, layer=told)])
    fields: dict[int, str] = {}
    faults = []
    for place, said in enumerate(rows[start]):
        if _blank(said):
            continue
        heading = " ".join(str(said).split()) if isinstance(said, str) else "?"
        found = known.get(heading)
        where = replace(_place(name, told, f"row {start + 1}"), field=heading[:80])
        if found is None:
            fix = "Use a heading of the template, or delete the column"
            faults.append(replace(where, reason="there is no column of that name", fix=fix))
        elif found in fields.values():
            faults.append(replace(where, reason="two columns have this heading", fix="Delete one of them"))
        else:
            fields[place] = found
    if not fields:
        raise BadInput(f"{name} has no headings that we know", faults)
    found_rows = []
    for number, row in enumerate(rows[start + 1 :], start + 2):
        cells = {fields[n]: value for n, value in enumerate(row) if n in fields and not _blank(value)}
        stray = [get_column_letter(n + 1) for n, value in enumerate(row) if not _blank(value) and n >= len(rows[start])]
        stray += [
            get_column_letter(n + 1) for n, value in enumerate(row)
            if n < len(rows[start]) and _blank(rows[start][n]) and not _blank(value)
        ]  # fmt: skip
        if stray:
            where = _place(name, told, f"row {number}")
            reason = f"a value without a heading in column {', '.join(stray[:5])}"
            faults.append(replace(where, reason=reason, fix="Give the column its heading, or clear the cell"))
        if cells:
            found_rows.append(Row(number, cells))
    return Table(sheet, title, found_rows, faults)


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _drafts(tables: Sequence[Table], name: str) -> tuple[list[Draft], list[Fault]]:
    """The projects of a file with their parts, and the faults that belong to no project."""
    faults = [fault for table in tables for fault in table.faults]
    (main,) = (table for table in tables if table.sheet.field == "projects")
    drafts = [_draft(row, main, name) for row in main.rows]
    by_key: dict[str, Draft] = {}
    for draft in drafts:
        by_key.setdefault(draft.key, draft)
    for table in tables:
        if table is main:
            continue
        for row in table.rows:
            part = _draft(row, table, name)
            key = str(part.values.pop("project_id", "") or "")
            owner = by_key.get(key) if key else None
            made = _made(part, table.sheet.model)
            if owner is None:
                said = f"there is no project {key!r}" if key else "it does not say whose it is"
                part.add(Fault(said, f"Use an id of the sheet {main.title}", field="project_id"))
                faults += part.faults
                continue
            owner.faults += part.faults
            if made is not None:
                owner.values.setdefault(table.sheet.field, []).append(made)
    return drafts, faults


def _draft(row: Row, table: Table, name: str) -> Draft:
    """One row as the values of a record; what a cell says wrongly is a fault."""
    draft = Draft(_place(name, table.title or table.sheet.field, ""), {})
    wrong = []
    for column in table.sheet.columns:
        if column.field not in row.cells:
            continue
        try:
            said = row.cells[column.field]
            if said is FORMULA:
                raise Wrong("a formula is not worked out here; paste its value")
            _set(draft.values, column.field, value_of(column, said))
        except Wrong as error:
            draft.lost.add(column.field)
            wrong.append(fault_of(column, error))
    key = draft.key or draft.values.get("project_id") or ""
    draft.place = _place(name, table.title or table.sheet.field, f"row {row.number} {key}".strip())
    for fault in wrong:
        draft.add(fault)
    return draft


def _set(values: dict[str, Any], field: str, value: Any) -> None:
    head, _, rest = field.partition(".")
    if rest:
        values.setdefault(head, {})[rest] = value
    else:
        values[head] = value


def _made(draft: Draft, model: type[BaseModel]) -> Any:
    """The record of a draft; None, and the faults with the draft, where it is none."""
    try:
        made = model.model_validate(draft.values)
    except ValidationError as error:
        of = {column.field: column for sheet in (FLAT, *PARTS) for column in sheet.columns}
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            where = ".".join(str(step) for step in one["loc"])
            if where in draft.lost or (draft.lost and not where):
                continue  # said already, by the cell
            column = of.get(where)
            reason = one["msg"].removeprefix("Value error, ")
            fix = column.fix if column else "Correct the field"
            draft.add(Fault(f"{column.zh}: {reason}" if column else reason, fix, field=where or None))
        return None
    return made


def _place(file: str, layer: str, feature: str) -> Fault:
    return Fault("", "", file=file, layer=layer, feature=feature[:200])
