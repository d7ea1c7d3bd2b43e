"""Rhode Island: a real siting stack from somebody else, imported whole, every parcel checked.

    python -m scripts.real.rhode_island DATA

NREL's reVX and reVRt keep these files for their own tests (BSD-3-Clause). Nothing in them was made for this program:
five reference systems, one of them undefined, one invalid parcel, one raster with a wrong tag, and no survey of
farmland, red lines or roads at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from pyproj import CRS
from rasterio.features import shapes

from gis import measure
from gis.check import Checked, check, rulebook
from gis.facts import FACTS
from gis.judge import Status, Verdict
from gis.meetings import MEETINGS
from gis.rules import Rulebook
from layers.errors import BadInput
from layers.gpkg import GeoPackage, create
from layers.ingest import Prepared, prepare
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper
from layers.records import Bounds, Industry, Project
from layers.schema import role
from scripts.real.oracles import Count, counts_table, data_folder, inside, layer_of, markdown, outlines_of, unsure

COUNTY_CRS = "EPSG:32130"
NAD83 = "EPSG:4269"  # what the parcels' degrees are; their file says "Undefined geographic SRS"
PARCELS = "RI_Parcels/Rhode_Island.gpkg"
LINES = "ri_transmission_features.gpkg"

# Light industry that asks little: the ground decides, not the size of the lot.
WORKSHOP = Project(
    id="garment-workshop",
    name="Garment workshop",
    industry=Industry(code="C181"),
    land_m2=500,
    power_kva=250,
    water_m3d=20,
    effluent_m3d=15,
    dust=False,
    hazardous=False,
)


@dataclass(frozen=True)
class Source:
    """One file (or a part of one) and the role it is imported under."""

    file: Path
    role: str
    crs: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    extent: Bounds | None = None
    made: str = ""

    def arguments(self) -> list[str]:
        """The same import as arguments of `parkplan import COUNTY`."""
        out = [str(self.file), "--role", self.role]
        out += ["--crs", self.crs] if self.crs else []
        out += ["--extent", ",".join(map(repr, self.extent))] if self.extent else []
        for ours, theirs in self.fields.items():
            out += ["--field", f"{ours}={theirs}"]
        return out


@dataclass(frozen=True)
class Imported:
    """What became of a file."""

    source: Source
    prepared: Prepared
    seconds: float


@dataclass(frozen=True)
class Stage:
    """Every parcel checked against the county as it was then."""

    title: str
    verdicts: dict[str, int]
    seconds: float
    checked: Checked

    def reasons(self) -> list[tuple[str, str, int, int]]:
        """(rule, severity, parcels failing, parcels unknown) of the rules that decide, the most first."""
        rows = []
        for rule, status in zip(self.checked.rules, self.checked.status[:, :, 0], strict=True):
            failing, unknown = int((status == Status.FAIL).sum()), int((status == Status.UNKNOWN).sum())
            if rule.severity != "warn" and failing + unknown:
                rows.append((rule.id, rule.severity, failing, unknown))
        return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))

    def status(self, rule_id: str) -> np.ndarray:
        """(P,) status of one rule."""
        row = [rule.id for rule in self.checked.rules].index(rule_id)
        found: np.ndarray = self.checked.status[row, :, 0]
        return found


# --- the files, and what has to be made of them ----------------------------------------------------


def extent_of(data: Path) -> Bounds:
    """The box that the five regions of `ri_regions.gpkg` fill: the whole county."""
    regions = pyogrio.read_dataframe(data / "ri_regions.gpkg")
    west, south, east, north = map(float, regions.total_bounds)
    return (west, south, east, north)


def _where(source: Path, category: str, work: Path) -> Path:
    """The features of one category, as a file of their own."""
    to = work / f"{category.lower()}.gpkg"
    pyogrio.write_dataframe(pyogrio.read_dataframe(source, where=f"category = '{category}'"), to)
    return to


def _outlined(source: Path, keep: Iterable[int], work: Path) -> Path:
    """The cells of a class raster that hold one of the values, as areas."""
    with rasterio.open(source) as file:
        mask = np.isin(file.read(1), list(keep))
        areas = [shapely.geometry.shape(shape) for shape, _ in shapes(mask.astype(np.uint8), mask, 4, file.transform)]
    to = work / f"{source.stem}.gpkg"
    pyogrio.write_dataframe(gpd.GeoDataFrame(geometry=areas, crs=COUNTY_CRS), to)
    return to


def _counties(source: Path, work: Path) -> Path:
    """One area per county: the file repeats each county for every rule it has."""
    to = work / "counties.gpkg"
    frame = pyogrio.read_dataframe(source)
    pyogrio.write_dataframe(frame.drop_duplicates("FIPS").reset_index(drop=True), to)
    return to


def sources(data: Path, work: Path) -> list[Source]:
    """Every file that a role fits, in the order it is imported. Made files go to `work`."""
    whole = extent_of(data)
    return [
        Source(data / PARCELS, "parcels", crs=NAD83),
        Source(
            _counties(data / "ri_wind_regs_fips.gpkg", work),
            "zones",
            fields={"name": "County", "unit_code": "FIPS"},
            made="ri_wind_regs_fips.gpkg, 15 rows, first row of each county",
        ),
        Source(data / "Rhode_Island_Water.gpkg", "river_management"),
        Source(data / "Rhode_Island_Railroads.gpkg", "railways"),
        Source(data / "RhodeIsland.gpkg", "residential"),
        Source(_where(data / LINES, "Substation", work), "substations", made=f"{LINES}, category Substation"),
        Source(
            _where(data / LINES, "TransLine", work),
            "power_lines",
            fields={"voltage_kv": "voltage"},
            made=f"{LINES}, category TransLine",
        ),
        Source(
            _outlined(data / "ri_padus.tif", (1, 2), work),
            "nature_reserve",
            extent=whole,
            made="ri_padus.tif, cells 1 and 2 outlined",
        ),
        Source(data / "ri_srtm_slope.tif", "slope"),
        Source(data / "ri_nlcd.tif", "imagery", crs=COUNTY_CRS),
    ]


# Features that no role fits, so that nothing is left out in silence.
LEFT_OUT = (
    (
        f"{LINES}, categories LoadCen and PCALoadCen",
        "120 load centres are where a model puts demand; no such thing stands there",
    ),
    ("ri_county_centroids.gpkg", "the middle of a county is no village"),
    (
        "ri_regions.gpkg, ri_regions.tif, ri_reeds_regions.tif",
        "numbers of model regions; the outline serves as the surveyed extent",
    ),
    ("ri_smod.tif", "settlement classes are no legal boundary; stands in for one in stage C only"),
    ("ri_transmission_barriers.tif, *_rails.tif", "results of the models; the rails serve as oracle"),
    ("*.csv", "setback rules of Rhode Island, not ours"),
)


def missing(store: GeoPackage, data: Path, work: Path) -> list[Source]:
    """The roles that a screening reads and this county has not: surveys that found nothing, over the whole county."""
    to = work / "nothing.gpkg"
    pyogrio.write_dataframe(gpd.GeoDataFrame(geometry=[], crs=COUNTY_CRS), to, geometry_type="MultiPolygon")
    world = store.at()
    asked = {name for rule in rulebook().asked("screening", world.as_of) for name in rule.columns}
    roles = {str(FACTS[name].role) for name in asked & FACTS.keys() if FACTS[name].role}
    roles |= {str(MEETINGS[name].role) for name in asked & MEETINGS.keys() if MEETINGS[name].role} | {"approved_land"}
    absent = sorted(one for one in roles - {layer.role for layer in store.layers()} - {"dem"} if not role(one).kept)
    coded = {"code_system": "=GB/T 21010-2017", "code": "=0601"}
    return [
        Source(to, one, fields=coded if role(one).required else {}, extent=extent_of(data), made="an empty file")
        for one in absent
    ]


# --- importing and checking -------------------------------------------------------------------------


def load(store: GeoPackage, wanted: Iterable[Source]) -> list[Imported]:
    """Import files in order, as the command line does."""
    done = []
    for source in wanted:
        start = time.perf_counter()
        prepared = prepare(
            source.file,
            source.role,
            store.crs,
            crs=source.crs,
            fields=source.fields,
            extent=shapely.box(*source.extent) if source.extent else None,
            neighbourhood=store.bounds(),
        )
        store.put(prepared, by="operator")
        done.append(Imported(source, prepared, time.perf_counter() - start))
    return done


def judge(store: GeoPackage, title: str, book: Rulebook | None = None) -> Stage:
    """Every parcel against the workshop."""
    start = time.perf_counter()
    checked = check(store.frame("parcels"), WORKSHOP, book or rulebook(), store.at())
    seconds = time.perf_counter() - start
    verdicts = {one.name.lower(): int((checked.verdict == one).sum()) for one in Verdict}
    return Stage(title, verdicts, seconds, checked)


def suppose(store: GeoPackage, data: Path, work: Path) -> Rulebook:
    """What a county would add, invented here to show further verdicts.

    Settlement cells as urban boundary, zones for garments, the counties as built-up land in general control units,
    room in every substation and quota, every rule confirmed.
    """
    urban = _outlined(data / "ri_smod.tif", (2, 3), work)
    zones = next(one for one in sources(data, work) if one.role == "zones")
    garments = Source(zones.file, "zones", fields={**zones.fields, "industries": "=18"})
    boundary = Source(urban, "urban_boundary", fields={"kind": "=concentrated"}, extent=extent_of(data))
    everything = {"code_system": "=GB/T 21010-2017", "code": "=0601"}
    built = Source(zones.file, "land_use", fields=everything, extent=extent_of(data))
    general = Source(zones.file, "environment_units", fields={"kind": "=general"}, extent=extent_of(data))
    load(store, [boundary, garments, built, general])
    year = store.at().for_year
    units = store.frame("zones")["unit_code"]
    stations = store.frame("substations")["id"]
    quota = {f"quota/{unit}/{year}/new_construction": ("m2", 1_000_000.0) for unit in units}
    capacity = {f"capacity/{one}/power_kva": ("kva", 5_000.0) for one in stations}
    rows = [(account, unit, left) for account, (unit, left) in {**quota, **capacity}.items()]
    paper = Paper("invented", date(2026, 1, 1))
    open_books(store.ledger, pd.DataFrame(rows, columns=["account", "unit", "balance"]), paper)
    book = rulebook()
    return book.confirmed([{"rule": one.id, "document": "invented", "date": "2026-01-01"} for one in book.rules])


# --- what is refused ----------------------------------------------------------------------------------


def refusal(attempt: Callable[[], Prepared]) -> str:
    """The reason an import is refused with, or what it loads."""
    try:
        made = attempt()
    except BadInput as error:
        reasons = "; ".join(fault.reason for fault in error.faults)
        return f"{type(error).__name__}: {error.message}: {reasons}"
    rejected = "".join(f" ({fault.reason})" for fault in made.rejected)
    return f"{made.features_in:,} in, {made.layer.loaded:,} loaded, {made.layer.rejected} rejected{rejected}"


def in_us_feet(data: Path, work: Path) -> Path:
    """The slope raster with a tag that really is in US feet (EPSG:3654), its numbers untouched."""
    to = work / "slope_in_us_feet.tif"
    with rasterio.open(data / "ri_srtm_slope.tif") as file:
        profile = {**file.profile, "crs": rasterio.crs.CRS.from_epsg(3654)}
        values = file.read()
    with rasterio.open(to, "w", **profile) as file:
        file.write(values)
    return to


def refusals(data: Path, work: Path, county: Bounds, everything: Bounds) -> list[tuple[str, str]]:
    """What happens to the files that are wrong: (file and how it was asked, answer)."""
    target = CRS.from_user_input(COUNTY_CRS)
    invalid, feet = data / "RI_Parcels" / "invalid" / "Rhode_Island.gpkg", in_us_feet(data, work)
    nlcd = data / "ri_nlcd.tif"
    return [
        ("parcels as they are", refusal(lambda: prepare(data / PARCELS, "parcels", target))),
        ("parcels, crs EPSG:4269", refusal(lambda: prepare(data / PARCELS, "parcels", target, crs=NAD83))),
        ("the invalid parcel", refusal(lambda: prepare(invalid, "parcels", target))),
        (
            "the invalid parcel, with an extent",
            refusal(lambda: prepare(invalid, "parcels", target, extent=shapely.box(*county))),
        ),
        ("NLCD as tagged, EPSG:3653", refusal(lambda: prepare(nlcd, "imagery", target))),
        ("NLCD, crs EPSG:32130", refusal(lambda: prepare(nlcd, "imagery", target, crs=COUNTY_CRS))),
        ("slope tagged EPSG:3654, first layer of a county", refusal(lambda: prepare(feet, "slope", target))),
        (
            "slope tagged EPSG:3654, beside the parcels",
            refusal(lambda: prepare(feet, "slope", target, neighbourhood=county)),
        ),
        (
            "slope tagged EPSG:3654, after the power lines",
            refusal(lambda: prepare(feet, "slope", target, neighbourhood=everything)),
        ),
    ]


def noted(store: GeoPackage, data: Path) -> list[tuple[str, str]]:
    """What stands out in the files: (what, how much)."""
    parcels = store.frame("parcels").geometry.to_numpy()
    layer = store.at().near("parcels", shapely.total_bounds(parcels))
    assert layer is not None
    shared = measure.overlaps(parcels, layer)
    pairs = int(((shared.site < shared.feature) & (shared.area_m2 > 1)).sum())
    categories = pyogrio.read_dataframe(data / LINES, read_geometry=False)["category"].value_counts()
    zones = store.frame("zones")
    smallest = zones.loc[zones.area.idxmin()]
    return [
        (f"features of {LINES}", ", ".join(f"{count:,} {name}" for name, count in sorted(categories.items()))),
        ("smallest parcel, m²", f"{shapely.area(parcels).min():.2f}"),
        ("pairs of parcels that share more than 1 m²", f"{pairs:,}"),
        ("smallest county, km²", f"{smallest['name']}: {smallest.geometry.area / 1e6:.2f}"),
    ]


# --- numbers that reVX published -----------------------------------------------------------------------


def oracles(data: Path) -> list[Count]:
    """Cells of the 90 m grid that reVX excludes around rails, structures, water and parcel lines.

    Its tests (tests/test_setbacks.py) grow each feature by geopandas with 16 chords to a quarter circle and burn
    the result by cell centre. Rails and structures: 3 x (hub height 135 m + half a rotor of 200 m) = 705 m.
    """
    target = CRS.from_user_input(COUNTY_CRS)
    with rasterio.open(data / "generic_rails.tif") as file:
        rails_published, grid, (rows, columns) = file.read(1) == 1, file.transform, file.shape
    column, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    centres = shapely.points(grid.c + grid.a * column.ravel(), grid.f + grid.e * row.ravel())
    found = []
    for name, file_name, as_role, buffer_m, published in (
        ("generic_rails.tif, 705 m", "Rhode_Island_Railroads.gpkg", "railways", 705.0, int(rails_published.sum())),
        ("structures, 705 m", "RhodeIsland.gpkg", "residential", 705.0, 6_830),
        ("water, 100 m", "Rhode_Island_Water.gpkg", "river_management", 100.0, 88_994),
    ):
        far_m = measure.distance_m(centres, layer_of(prepare(data / file_name, as_role, target)), buffer_m + 1)
        found.append(Count(name, published, int((far_m <= buffer_m).sum()), int(unsure(far_m, buffer_m, 16).sum())))
    parcels = prepare(data / PARCELS, "parcels", target, crs=NAD83)
    line_m = measure.distance_m(centres, outlines_of(parcels), 101.0)
    within = inside(centres, layer_of(parcels)) & (line_m <= 100)
    return [*found, Count("inside a parcel, 100 m from its line", 438, int(within.sum()))]


# --- the same by the command line -----------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """One command, how it ended, what it printed and how long it took."""

    arguments: tuple[str, ...]
    status: int
    out: str
    err: str
    seconds: float


def parkplan(*arguments: str) -> Ran:
    start = time.perf_counter()
    program = Path(sys.executable).with_name("parkplan")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return Ran(arguments, done.returncode, done.stdout, done.stderr, time.perf_counter() - start)


def by_command(county: Path, wanted: Sequence[Source], parcel: str) -> list[Ran]:
    """The whole county made and one parcel checked by the command line."""
    asked = county.with_name("workshop.json")
    asked.write_text(WORKSHOP.model_dump_json(exclude_none=True), encoding="utf-8")
    name = str(county)
    return [
        parkplan("init", name, "--name", "Rhode Island", "--crs", COUNTY_CRS),
        *(parkplan("import", name, *source.arguments(), "--json") for source in wanted),
        parkplan("layers", name, "--json"),
        parkplan("check", name, "--project", str(asked), "--parcel", parcel, "--json"),
    ]


# --- printing ---------------------------------------------------------------------------------------------


def print_imports(imports: Iterable[Imported]) -> None:
    rows = []
    for one in imports:
        made = one.prepared
        found = made.found.get("crs", "")
        rows.append(
            [
                one.source.made or one.source.file.name,
                one.source.role,
                f"{found} (said: {one.source.crs})" if one.source.crs else found,
                f"{made.features_in:,}",
                f"{made.layer.loaded:,}",
                made.layer.rejected,
                f"{one.seconds:.2f}",
            ]
        )
    print(markdown(["file", "role", "CRS found", "in", "loaded", "rejected", "seconds"], rows))


def print_stage(stage: Stage) -> None:
    total = sum(stage.verdicts.values())
    counts = ", ".join(f"{count:,} {name}" for name, count in stage.verdicts.items() if count)
    print(f"\n### {stage.title}\n\n{total:,} parcels in {stage.seconds:.2f} s: {counts}\n")
    print(
        markdown(
            ["rule", "severity", "fails", "unknown"],
            [[rule, severity, f"{fails:,}", f"{unknown:,}"] for rule, severity, fails, unknown in stage.reasons()],
        )
    )


def main() -> None:
    data = data_folder("scripts.real.rhode_island") / "siting_rhode_island"
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        wanted = sources(data, work)
        store = create(work / "ri.gpkg", "Rhode Island", COUNTY_CRS)
        print("## Imports\n")
        imports = load(store, wanted)
        print_imports(imports)
        print("\nNot imported:\n")
        print(markdown(["file", "why"], LEFT_OUT))
        parcels, whole = imports[0].prepared.layer.extent.bounds, store.bounds()
        assert whole is not None
        print("\nNoted:\n")
        print(markdown(["what", "how much"], noted(store, data)))
        print("\n## Refusals\n")
        print(markdown(["asked", "answer"], refusals(data, work, parcels, whole)))
        print("\n## Verdicts")
        print_stage(judge(store, "A. The files as they are"))
        empty = load(store, missing(store, data, work))
        print_stage(judge(store, "B. Every missing role as a survey that found nothing"))
        print(f"\nEmpty surveys: {', '.join(one.source.role for one in empty)}")
        book = suppose(store, data, work)
        print_stage(judge(store, "C. With an urban boundary, zones, capacities, quota and confirmed rules", book))
        print(f"\n{sum(rule.is_confirmed for rule in book.rules)} rules confirmed, all invented for this run")
        print("\n## Published by reVX\n")
        print(counts_table(oracles(data)))
        print("\n## The command line\n")
        ran = by_command(work / "by_command.gpkg", wanted, "parcels-1")
        print(
            markdown(
                ["command", "exit", "seconds"],
                [[_short(one, data, work), one.status, f"{one.seconds:.1f}"] for one in ran],
            )
        )
        digests = {one["role"]: one["digest"] for one in json.loads(ran[-2].out)["layers"]}
        other = [one.source.role for one in imports if digests[one.source.role] != one.prepared.layer.digest]
        print(f"\n{len(imports) - len(other)} of {len(imports)} layers have the digest of the first run")
        assert not other, f"the command line made another {', '.join(other)}"
        print(f"\nparcels-1: {json.loads(ran[-1].out)['conclusion']['en']}")
        store.close()


def _short(ran: Ran, data: Path, work: Path) -> str:
    text = " ".join(f"'{one}'" if " " in one else one for one in ("parkplan", *ran.arguments))
    return "`" + text.replace(f"{data}/", "").replace(f"{work}/", "") + "`"


if __name__ == "__main__":
    main()
