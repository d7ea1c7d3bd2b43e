"""The lines of a boundary TXT taken apart, each plot with what is wrong with it; nothing here knows geometry."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from layers.errors import BadInput, Fault
from layers.formats.boundary_txt.profile import KINDS, PROFILES, STANDARD, STANDARD_COLUMNS, Profile

LINE = re.compile(r"\r\n|\r|\n")
SECTION = re.compile(r"\[\s*(.*?)\s*\]")
NUMBER = re.compile(r"[+-]?\d+(?:\.(\d*))?")
BRACKETS = str.maketrans("【】〔〕", "[][]")
BOMS = {codecs.BOM_UTF8: "UTF-8-SIG", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
KIND = STANDARD_COLUMNS.index("geometry_kind")
NAME = STANDARD_COLUMNS.index("plot_name")


@dataclass
class Plot:
    """One plot as its lines say it. `unreadable` holds what keeps its ground from being known."""

    position: int
    line: int
    fields: dict[str, str] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    rings: list[str] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    unreadable: list[Fault] = field(default_factory=list)

    @property
    def label(self) -> str:
        return " ".join(filter(None, (f"plot {self.position}", self.fields.get("plot_no"))))


@dataclass
class Document:
    """A file taken apart: the attributes of [属性描述], the plots in file order, what looked odd on the way."""

    file: str
    encoding: str
    line_end: str
    attributes: dict[str, str] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    profile: str = STANDARD.name
    decimals: int = 0
    notes: list[Fault] = field(default_factory=list)

    def fault(self, reason: str, fix: str, plot: Plot | None = None, line: int = 0, point: str = "") -> Fault:
        where = ", ".join(filter(None, (f"line {line}" if line else "", f"point {point}" if point else "")))
        return Fault(reason, fix, file=self.file, feature=plot.label if plot else None, field=where or None)


def parse(data: bytes, file: str, encoding: str | None, profile: Profile | None) -> Document:
    """The file's lines, sorted into attributes and plots. Raises BadInput where its text cannot be read."""
    text, spoken = decode(data, file, encoding)
    ends = {"\r\n": text.count("\r\n"), "\n": text.count("\n") - text.count("\r\n")}
    document = Document(file, spoken, max(ends, key=lambda end: ends[end]))
    section = ""
    for number, raw in enumerate(LINE.split(text), 1):
        line = raw.strip().strip("\ufeff").strip()
        if not line:
            continue
        plain = half_width(line)
        if titled := SECTION.fullmatch(plain):
            section = titled[1]
        elif _is_header(plain, section):
            _begin(document, line, number, profile)
        elif section in ("", "属性描述") and not document.plots and "=" in plain:
            _attribute(document, line, number)
        elif section not in ("", "属性描述", "地块坐标"):
            document.other.append(f"[{section}] {line}")
        else:
            _point(document, plain, number)
    if document.other:
        reason = f"{len(document.other)} lines stand in sections this format does not have, first {document.other[0]!r}"
        document.notes.append(document.fault(reason, "They were not read"))
    return document


def decode(data: bytes, file: str, encoding: str | None) -> tuple[str, str]:
    """The text and the encoding it was read by: as said, else by its BOM, else strict UTF-8, else GB18030."""
    marked = next((name for mark, name in BOMS.items() if data.startswith(mark)), None)
    tried = [encoding] if encoding else [marked] if marked else ["UTF-8", "GB18030"]
    for last in tried:
        try:
            return data.decode(last), last
        except LookupError as error:
            fix = "Say --encoding GB18030 or UTF-8"
            raise BadInput(f"{encoding!r} is not an encoding", [Fault(str(error), fix, file=file)]) from error
        except UnicodeDecodeError as error:
            broken = error
    line = data.count(b"\n", 0, broken.start) + 1
    reason = f"byte {broken.start} in line {line} is not {tried[-1]} ({broken.reason})"
    fix = "Say --encoding GB18030 or UTF-8, or copy the file again"
    raise BadInput(f"{file} is not in the encoding it claims", [Fault(reason, fix, file=file, field=f"line {line}")])


def half_width(text: str) -> str:
    """Full-width letters, digits and punctuation as the half-width ones the format is written in.

    >>> half_width("【属性描述】"), half_width("Ｊ１，１，３１１１０００．０００")
    ('[属性描述]', 'J1,1,3111000.000')
    """
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(BRACKETS))


def numeric(text: str) -> float | None:
    """A number in plain digits (also full-width ones); None for anything else, `nan` and `1e5` included."""
    plain = half_width(text).strip()
    return float(plain) if NUMBER.fullmatch(plain) else None


def _is_header(plain: str, section: str) -> bool:
    """A line that ends in `@`, as only headers do; one without it still is one where its 图形属性 stands right."""
    ended = plain.rstrip(", \t").endswith("@")
    if section == "属性描述" and "=" in plain:
        return ended and plain.count(",") >= len(STANDARD_COLUMNS) - 1 and "=" not in plain.partition(",")[0]
    if section not in ("", "属性描述", "地块坐标"):
        return plain.endswith(",@")
    fields = plain.split(",")
    return ended or (len(fields) >= len(STANDARD_COLUMNS) and fields[KIND].strip() in KINDS)


def _attribute(document: Document, line: str, number: int) -> None:
    key, value = (part.strip() for part in re.split("[=＝]", line, maxsplit=1))
    if key in document.attributes:
        document.notes.append(document.fault(f"{key} stands twice", "The last one counts", line=number))
    document.attributes[key] = value


def _begin(document: Document, line: str, number: int, profile: Profile | None) -> None:
    """A new plot from its header line. Its fields are kept as written, blanks around them taken off."""
    plot = Plot(len(document.plots) + 1, number)
    document.plots.append(plot)
    body = line.rstrip(",， \t")
    if body.endswith(("@", "＠")):
        body = body[:-1].rstrip()
        body = body[:-1] if body.endswith((",", "，")) else body
    else:
        document.notes.append(document.fault("the header does not end in @", "Add ,@ to the line", plot, number))
        body = line
    values = [value.strip() for value in body.split(",")]
    if len(values) < len((profile or STANDARD).columns) and len(wide := re.split(r"[,，\t]", body)) > len(values):
        values = [value.strip() for value in wide]
        document.notes.append(
            document.fault("the header is written with full-width commas or tabs", "Write , instead", plot, number)
        )
    columns = _columns(document, plot, values, profile)
    plot.fields = dict(zip(columns, values, strict=False))
    document.columns += [column for column in columns if column not in document.columns]


def _columns(document: Document, plot: Plot, values: list[str], profile: Profile | None) -> Iterable[str]:
    """What each field of a header means; `values` is closed up where the plot's name holds commas."""
    known = profile or next((one for one in PROFILES.values() if len(one.columns) == len(values)), STANDARD)
    surplus = len(values) - len(known.columns)
    if len(document.plots) == 1:
        document.profile = known.name
    if surplus > 0 and known.names_hold_commas:
        start = known.columns.index("plot_name")
        values[start : start + surplus + 1] = [",".join(values[start : start + surplus + 1])]
        return known.columns
    misplaced = len(values) > KIND + 1 and values[KIND] not in KINDS and bool(KINDS.keys() & values[KIND + 1 :])
    if (surplus > 0 and profile is not None) or (
        misplaced and known.columns[: KIND + 1] == STANDARD_COLUMNS[: KIND + 1]
    ):
        reason = f"the header has {len(values)} fields, so one of them (the name {values[NAME]!r}?) may hold a comma"
        fix = "Take the comma out, or read the file with a profile that names its columns and lets names hold commas"
        plot.unreadable.append(document.fault(reason, fix, plot, plot.line))
        return known.columns
    if surplus < 0:
        reason = f"the header has {len(values)} of {len(known.columns)} fields"
        document.notes.append(document.fault(reason, "The missing ones are left empty", plot, plot.line))
    return [*known.columns, *(f"extra_{n}" for n in range(1, surplus + 1))]


def _point(document: Document, plain: str, number: int) -> None:
    fields = [value.strip() for value in plain.split(",")]
    if len(fields) < 4:
        fields = plain.replace(",", " ").split()
    read = [NUMBER.fullmatch(value) for value in fields[2:4]]
    whole = len(read) == 2 and all(read) and fields[1] != ""
    if not document.plots:
        if not whole:
            document.notes.append(document.fault(f"{plain[:40]!r} was not understood", "It was not read", line=number))
            return
        document.plots.append(Plot(1, number))
        reason = "points stand before any plot header"
        plot = document.plots[-1]
        plot.unreadable.append(document.fault(reason, "Put the header line, ending in ,@, before them", plot, number))
    plot = document.plots[-1]
    if not whole:
        reason = f"{plain[:40]!r} is neither a point (点号,圈号,X,Y) nor a header ending in @"
        plot.unreadable.append(document.fault(reason, "Correct the line or take it out", plot, number))
        return
    if any(fields[4:]):
        document.notes.append(
            document.fault(f"{','.join(fields[4:])[:40]!r} follows the easting", "It was not read", plot, number)
        )
    document.decimals = max(document.decimals, *(len(match[1] or "") for match in read if match))
    plot.lines.append(number)
    plot.numbers.append(fields[0])
    plot.rings.append(fields[1])
    plot.first.append(float(fields[2]))
    plot.second.append(float(fields[3]))
