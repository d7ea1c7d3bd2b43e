"""What one office means by a boundary TXT: its columns, its units, its habits; and the zones of the grid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pyproj import CRS

STANDARD_COLUMNS = (
    "point_count",  # 界址点数
    "declared_area_ha",  # 地块面积, in hectares here whatever the file's unit
    "plot_no",  # 地块编号
    "plot_name",  # 地块名称
    "geometry_kind",  # 图形属性: 面, 线, 点
    "sheet",  # 图幅号
    "use",  # 地块用途
    "code",  # 地类编码
)
CONSOLIDATION_COLUMNS = ("patch_type", "land_class", "grade_before", "grade_after", "remark")  # TBLX DL GZQ GZH BZ
COMPUTED = ("point_count", "declared_area_ha", "geometry_kind")  # the writer works these out itself
KINDS = {"面": 2, "线": 1, "点": 0}  # 图形属性 -> dimension
UNITS = {"ha": Fraction(10_000), "m2": Fraction(1), "mu": Fraction(2000, 3), "km2": Fraction(1_000_000)}
PLACES = {"ha": 4, "m2": 2, "mu": 2, "km2": 6}
ATTRIBUTES = (
    "格式版本号",
    "数据产生单位",
    "数据产生日期",
    "坐标系",
    "几度分带",
    "投影类型",
    "计量单位",
    "带号",
    "精度",
    "转换参数",
)


@dataclass(frozen=True)
class Profile:
    """The habits of one kind of boundary TXT.

    Parameters
    ----------
    columns : header columns in order, without the closing `@`
    names_hold_commas : whether a comma may stand in the plot's name; surplus header fields then belong to it
    area_unit : what 地块面积 is counted in: ha, m2, mu (亩) or km2
    closed : whether the first point is repeated at a ring's end and counted in 界址点数
    zone_prefix : whether eastings carry the zone (8 digits) or not (6 digits); a reader sees it from the digits
    northing_first : whether X (northing) stands before Y (easting), as the format has it
    decimals : of a coordinate, in metres
    encoding, line_end : of the written file
    """

    name: str = "standard"
    columns: tuple[str, ...] = STANDARD_COLUMNS
    names_hold_commas: bool = False
    area_unit: str = "ha"
    closed: bool = True
    zone_prefix: bool = True
    northing_first: bool = True
    decimals: int = 3
    encoding: str = "GBK"
    line_end: str = "\r\n"

    def __post_init__(self) -> None:
        if self.area_unit not in UNITS:
            raise ValueError(f"an area is counted in {', '.join(UNITS)}, not in {self.area_unit!r}")
        if not 0 <= self.decimals <= 6:
            raise ValueError("a coordinate has 0 to 6 decimals")


STANDARD = Profile()
LAND_CONSOLIDATION = Profile("land consolidation", (*STANDARD_COLUMNS, *CONSOLIDATION_COLUMNS))
PROFILES = {profile.name: profile for profile in (STANDARD, LAND_CONSOLIDATION)}


class Zone(NamedTuple):
    """A Gauss-Krüger zone of CGCS2000: 3° zones are 25 to 45, 6° zones 13 to 23, so a number names its width.

    >>> Zone(36, True).epsg, Zone(36, False).epsg, Zone(19, True).epsg, Zone(19, False).epsg
    (4524, 4545, 4497, 4508)
    >>> Zone(36, False).width_deg, Zone(36, False).meridian_deg, Zone(19, True).meridian_deg
    (3, 108, 111)
    """

    number: int
    prefix: bool

    @property
    def width_deg(self) -> int:
        return 3 if self.number >= 25 else 6

    @property
    def meridian_deg(self) -> int:
        return self.number * 3 if self.width_deg == 3 else self.number * 6 - 3

    @property
    def epsg(self) -> int:
        first = (4513 if self.prefix else 4534) if self.width_deg == 3 else (4491 if self.prefix else 4502)
        return first + self.number - (25 if self.width_deg == 3 else 13)


ZONES = {zone.epsg: zone for n in (*range(13, 24), *range(25, 46)) for zone in (Zone(n, True), Zone(n, False))}
NUMBERS = frozenset(zone.number for zone in ZONES.values())


def zone_of(crs: CRS | None) -> Zone | None:
    """The zone a CRS is the grid of; None where it is no Gauss-Krüger grid of CGCS2000."""
    code = crs.to_epsg(min_confidence=70) if crs is not None else None
    return ZONES.get(code) if code is not None else None
