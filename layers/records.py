"""The few records that every floor speaks of. Many things are tables; these are not.

Coordinates are in the county's working CRS (a projected one, metres) unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pyproj import CRS

from layers.errors import BadInput, Fault

T = TypeVar("T")
Geoms = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bounds = tuple[float, float, float, float]

Purpose = Literal["screening", "pre_review", "conversion", "supply", "entry", "verification"]
PURPOSES: tuple[Purpose, ...] = ("screening", "pre_review", "conversion", "supply", "entry", "verification")


# --- what is stored -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """One version of one layer, as the catalogue knows it.

    `extent` is the ground that was surveyed: outside it the layer says nothing, so that a site partly
    outside is *unknown* for this layer. `digest` names the content and is what a verdict pins.
    `fields` and `found` are the recorded decision of how the file was bound to the role: our column -> its field,
    and the format, layer, encoding and CRS it was read by. `accuracy_m` is the stated positional accuracy of its
    boundaries, null where nobody stated it. `classification` is 公开, 内部 or 秘密. `edits` is the last event of the
    parcel fabric that changed what this version says, null where none did.
    """

    role: str
    version: int
    digest: str
    source: str
    extent: shapely.Geometry
    loaded: int
    rejected: int = 0
    vintage: str | None = None
    synthetic: bool = False
    imported_at: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    accuracy_m: float | None = None
    classification: str = "内部"
    imported_by: str = ""
    approved_by: str | None = None
    edits: int | None = None

    @property
    def label(self) -> str:
        edits = "" if self.edits is None else f"+{self.edits}"
        return f"{self.role}@{self.version}{edits}:{self.digest[:12]}"


@dataclass(frozen=True)
class RawLayer:
    """One layer as its file says it: nothing judged, nothing moved.

    `geometries` is None where a feature has none that can be read. `crs` is WKT or an authority's code, None where
    the file does not say. `found` says by what it was read (format, layer, encoding); `notes` what looked odd.
    """

    table: pd.DataFrame
    geometries: Geoms
    crs: str | None
    found: dict[str, str] = field(default_factory=dict)
    notes: tuple[Fault, ...] = ()


class Snapshot:
    """A layer version cut for measuring: small pieces, each owned by a feature, under one tree.

    Parameters
    ----------
    layer : the catalogue row
    features : (M,) attributes, one row per feature, text `id` first; no geometry
    pieces : (K,) geometries of at most 256 vertices, lines in short runs; together they are the features
    owner : (K,) row of `features` each piece belongs to
    overlapping : whether features may share ground with each other, so that their areas must not be added up
    """

    def __init__(
        self, layer: Layer, features: pd.DataFrame, pieces: Geoms, owner: Ints, overlapping: bool = True
    ) -> None:
        self.layer = layer
        self.features = features
        self.pieces = pieces
        self.owner = owner
        self.overlapping = overlapping
        self.tree = shapely.STRtree(pieces)
        self.area_m2: Floats = shapely.area(pieces)
        self._memory: dict[object, Any] = {}

    @classmethod
    def of(
        cls, role: str, geometries: Geoms, extent: shapely.Geometry | None = None, **columns: Sequence[Any]
    ) -> Snapshot:
        """A snapshot straight from geometries, uncut: for a notebook, an example, a test."""
        geometries = np.asarray(geometries, dtype=object)
        surveyed = extent if extent is not None else shapely.box(*shapely.total_bounds(geometries))
        layer = Layer(role, 1, "memory", "memory", surveyed, loaded=len(geometries))
        features = pd.DataFrame({"id": [f"{role}-{n + 1}" for n in range(len(geometries))], **columns})
        return cls(layer, features, geometries, np.arange(len(geometries)))

    def once(self, key: object, make: Callable[[Snapshot], T]) -> T:
        """What `make` says of this layer, worked out once: the layer never changes, so neither does the answer."""
        if key not in self._memory:
            self._memory[key] = make(self)
        known: T = self._memory[key]
        return known

    def where(self, keep: Bools) -> Snapshot:
        """The features where `keep` (M,) holds, as a snapshot of their own."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        renumber = np.full(len(keep), -1, dtype=np.int64)
        renumber[rows] = np.arange(len(rows))
        chosen = keep[self.owner]
        features = self.features.iloc[rows].reset_index(drop=True)
        return Snapshot(self.layer, features, self.pieces[chosen], renumber[self.owner[chosen]], self.overlapping)

    def column(self, name: str) -> NDArray[Any]:
        """(M,) one attribute of every feature as a plain array; None throughout where the layer has no such column.

        Reading a single value out of a frame costs more than measuring the overlap it belongs to.
        """
        return self.once(("column", name), lambda layer: _column(layer, name))

    @property
    def names(self) -> list[str]:
        """What people call the features: the name where there is one, else the id."""
        return self.once("names", _names)


def _column(layer: Snapshot, name: str) -> NDArray[Any]:
    if name not in layer.features:
        return np.full(len(layer.features), None, dtype=object)
    return layer.features[name].to_numpy()


def _names(layer: Snapshot) -> list[str]:
    pairs = zip(layer.column("id"), layer.column("name"), strict=True)
    return [str(key if pd.isna(name) else name) for key, name in pairs]


@dataclass(frozen=True, eq=False)
class Raster:
    """A grid in the working CRS: `values[row, col]`, row 0 north; NaN where nothing was measured."""

    layer: Layer
    values: NDArray[np.float32]
    west: float
    north: float
    cell_m: float


@dataclass(frozen=True)
class Part:
    """One piece of ground of a site; a registered parcel, a plot, or plain ground."""

    geometry: shapely.Geometry
    parcel: str | None = None
    plot: str | None = None


@dataclass(frozen=True)
class Site:
    """The ground somebody asks for: one or several parts, measured as one."""

    parts: tuple[Part, ...]
    geometry: shapely.Geometry

    @classmethod
    def of(cls, *parts: Part) -> Site:
        one = parts[0].geometry if len(parts) == 1 else shapely.union_all([part.geometry for part in parts])
        return cls(parts, one)


class World(Protocol):
    """All that the thinking knows of storage: the county as of one day, asked for one year."""

    @property
    def as_of(self) -> date: ...

    @property
    def for_year(self) -> int: ...

    @property
    def crs(self) -> CRS: ...

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
        """At least every feature of the role that touches the bounds; None where no such layer is loaded."""

    def raster(self, role: str) -> Raster | None: ...

    def pools(self) -> Mapping[str, float]:
        """What projects share: account -> balance in the unit the account names; NaN where nobody knows it."""


# --- what a site takes of what is shared ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Areas:
    """Land quota in whole square metres as one tuple: each area holds the next, and they are never added up.

    BadInput where they do not nest (新增建设用地 >= 农用地 >= 耕地 >= 水田) or one is below zero.
    """

    new_construction: int = 0
    agricultural: int = 0
    cultivated: int = 0
    paddy: int = 0

    def __post_init__(self) -> None:
        if not self.new_construction >= self.agricultural >= self.cultivated >= self.paddy >= 0:
            said = ", ".join(f"{name} {amount:,}" for name, amount in self.items())
            fix = "新增建设用地 >= 农用地 >= 耕地 >= 水田 >= 0: each is a part of the one before"
            raise BadInput("the areas do not nest", [Fault(said, fix, field="areas")])

    def items(self) -> tuple[tuple[str, int], ...]:
        return (
            ("new_construction", self.new_construction),
            ("agricultural", self.agricultural),
            ("cultivated", self.cultivated),
            ("paddy", self.paddy),
        )


@dataclass(frozen=True, slots=True)
class Load:
    """A demand on a facility. `routes`, the best first, each the facility and those upstream that it draws on."""

    kind: str
    amount: int
    routes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A need of quota that is no part of the tuple: 占补, energy."""

    kind: str
    amount: int
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one reservation takes: quota by the shares (> 0, together 1) of units, other quota, loads; and what it does
    not take because nobody knows how much or of whom (kind -> why, Chinese)."""

    areas: Areas = Areas()
    shares: tuple[tuple[str, float], ...] = ()
    others: tuple[Other, ...] = ()
    loads: tuple[Load, ...] = ()
    untaken: tuple[tuple[str, str], ...] = ()


# --- what an investment asks for ------------------------------------------------------------------

Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Area = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Strict(BaseModel):
    """Unknown keys, NaN and infinity are refused, so that a typing error never becomes a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Industry(Strict):
    system: Literal["GB/T 4754-2017"] = "GB/T 4754-2017"
    code: str = Field(pattern=r"^[A-Z]?\d{2,4}$", examples=["C2613", "1530"])

    @property
    def digits(self) -> str:
        return self.code.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Footprint(Strict):
    length_m: Area
    width_m: Area


class Demands(Strict):
    """What a project, a component or a phase draws from its surroundings. None is unknown, never zero."""

    power_kva: Count | None = None
    max_demand_kva: Count | None = None
    dual_supply: bool | None = None
    water_m3d: Count | None = None
    water_peak_m3d: Count | None = None
    freight_td: Count | None = None
    effluent_m3d: Count | None = None
    solid_waste_td: Count | None = None


class AnnualOutput(Strict):
    """What a plant makes in a year of full production, in the unit it is sold by: t, 万吨, m3, 万块, 头 ..."""

    amount: float = Field(gt=0, allow_inf_nan=False)
    unit: str = Field(min_length=1, max_length=20, examples=["t"])
    product: str | None = Field(None, min_length=1, max_length=100, examples=["电解金属锰"])


Document = Literal["capacity_replacement", "energy_review", "eia", "slaughter_permit"]
Stage = Literal["储备", "引进", "新建", "实施"]
Preparation = Literal["谋划", "项目建议书", "可研", "初步设计", "已批准"]


class Equipment(Strict):
    """What the industry catalogue asks of a plant. None is unknown."""

    clinker_line_td: Count | None = None
    furnace_kva: Count | None = None
    rectifier_kva: Count | None = None
    leach_tank_m3: Count | None = None
    film_mm: Count | None = None
    chloride_roast: bool | None = None
    induction_furnace: bool | None = None
    solid_clay: bool | None = None


class Component(Demands):
    name: str
    industry: Industry | None = None
    land_m2: Area
    linked_within_m: Count


class Phase(Demands):
    approval_year: int | None = Field(None, ge=2000, le=2100)
    start_year: int | None = Field(None, ge=2000, le=2100)
    production_year: int | None = Field(None, ge=2000, le=2100)
    land_m2: Area


class Milestone(Strict):
    """One procedure of a project (立项, 环评, 用地预审 ...): the day it is planned for, counted back from the day of
    production (倒排工期), the day it was done, and its document. None is not said or not done."""

    procedure: str = Field(min_length=1, max_length=100, examples=["立项备案"])
    planned_on: date | None = None
    done_on: date | None = None
    document: str | None = Field(None, min_length=1, max_length=200)


class Project(Demands):
    """What an investment asks for. Only `id` (or `name`) and `land_m2` are required.

    Where `annual_output` is given, `land_m2` and the demands left out are estimated from industry and output.
    `gates` are the documents a project holds, by number; null says that it holds none, no entry that nobody said.
    """

    id: str | None = Field(None, min_length=1, max_length=200)
    name: str | None = Field(None, min_length=1, max_length=400)
    industry: Industry | None = None
    nature: Literal["新建", "扩建", "改建", "技改", "迁建"] | None = None
    stage: Stage | None = None
    preparation: Preparation | None = None
    land_m2: Area | None = None
    land_min_m2: Area | None = None
    land_max_m2: Area | None = None
    footprint: Footprint | None = None
    dust: bool | None = None
    odour: bool | None = None
    noise: bool | None = None
    hazardous: bool | None = None
    investment_wan: Count | None = None
    output_wan: Count | None = None
    tax_wan: Count | None = None
    jobs: Count | None = None
    floor_area_m2: Count | None = None
    building_footprint_m2: Count | None = None
    office_land_m2: Count | None = None
    office_floor_m2: Count | None = None
    energy_tce: Count | None = None
    annual_output: AnnualOutput | None = None
    equipment: Equipment | None = None
    gates: dict[Document, Annotated[str, Field(min_length=1, max_length=200)] | None] | None = None
    zone: str | None = None
    existing_site: str | None = None
    priority: int | None = None
    components: tuple[Component, ...] = ()
    phases: tuple[Phase, ...] = ()
    milestones: tuple[Milestone, ...] = ()

    def model_post_init(self, context: Any, /) -> None:
        if self.id is None and self.name is None:
            raise ValueError("a project needs an id or a name")
        if self.land_m2 is None and self.annual_output is None:
            raise ValueError("a project needs its land_m2, or its annual_output to estimate it from")
        if (self.land_min_m2 or 0) > (self.land_max_m2 or float("inf")):
            raise ValueError("land_min_m2 is larger than land_max_m2")

    @property
    def key(self) -> str:
        return self.id or self.name or ""


def union_bounds(bounds: Iterable[Sequence[float]]) -> Bounds:
    """The box around boxes.

    >>> union_bounds([(0, 0, 1, 1), (5, -1, 6, 0)])
    (0.0, -1.0, 6.0, 1.0)
    """
    box = np.array(list(bounds), dtype=float)
    west, south = box[:, :2].min(axis=0)
    east, north = box[:, 2:].max(axis=0)
    return (float(west), float(south), float(east), float(north))
