"""Boundary TXT files, written here point by point, good and odd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from layers.formats import boundary_txt
from layers.records import RawLayer

NORTH, EAST = 3_111_000.0, 36_564_900.0  # a corner of 木黄 in EPSG:4524
SAID = {
    "格式版本号": "1.01版本",
    "坐标系": "2000国家大地坐标系",
    "几度分带": "3",
    "投影类型": "高斯克吕格",
    "计量单位": "米",
    "带号": "36",
    "精度": "0.001",
    "转换参数": "0,0,0,0,0,0,0",
}
Offsets = Sequence[tuple[float, float]]  # (metres east, metres north) of the corner


def box(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    """A ring from its north-west point, clockwise."""
    return [(west, north), (east, north), (east, south), (west, south)]


def hole(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    """A ring from its north-west point, counter-clockwise."""
    return [(west, north), (west, south), (east, south), (east, north)]


def plot(
    *rings: Offsets,
    area: str = "0.0000",
    number: str = "A-1",
    name: str = "木黄地块",
    kind: str = "面",
    count: int | None = None,
    closed: bool = True,
    head: str | None = None,
    east: float = EAST,
    extra: str = "",
) -> list[str]:
    """The lines of a plot; `head` replaces its header."""
    points, n = [], 0
    for ring_number, ring in enumerate(rings, 1):
        first = n + 1
        for right, up in ring:
            n += 1
            points.append(f"J{n},{ring_number},{NORTH + up:.3f},{east + right:.3f}")
        if closed and kind == "面":
            right, up = ring[0]
            points.append(f"J{first},{ring_number},{NORTH + up:.3f},{east + right:.3f}")
    counted = len(points) if count is None else count
    return [head or f"{counted},{area},{number},{name},{kind},H49G094011,工业用地,0601,{extra}@", *points]


def text(*plots: Iterable[str], said: Mapping[str, str | None] | None = None, end: str = "\r\n") -> str:
    """A whole file; `said` replaces lines of [属性描述], None takes one out."""
    attributes = {**SAID, **(said or {})}
    lines = ["[属性描述]", *(f"{key}={value}" for key, value in attributes.items() if value is not None)]
    lines += ["[地块坐标]", *(line for one in plots for line in one)]
    return "".join(line + end for line in lines)


def read(content: str | bytes, **options: object) -> RawLayer:
    data = content.encode("gb18030") if isinstance(content, str) else content
    return boundary_txt.read(data, name="界址.txt", **options)  # type: ignore[arg-type]


def said_of(raw: RawLayer) -> str:
    return "\n".join(map(str, raw.notes))
