"""From a survey's file to a layer ready to be stored, with every fault of the file said at once.

Features in = features loaded + features rejected with a reason, always. Ground under a rejected feature is taken
out of the surveyed extent: a protected area that could not be read must not look like free land.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.warp import Resampling, calculate_default_transform, reproject

from layers import area
from layers import crs as crs_
from layers.acronyms import other_meanings
from layers.cores import blockwise
from layers.errors import BadInput, Fault
from layers.field_map import restored
from layers.formats import osm
from layers.reading import read, read_grid
from layers.records import Bounds, Geoms, Layer, Raster, RawLayer
from layers.schema import Role, conform, role
from layers.snapshot import as_wkb, digest_of

MAX_FEATURE_VERTICES = 1_000_000
MAX_ACCURACY_M = 20.0  # borders known no better than this say nothing of a parcel
SAME_M2 = 0.005  # an area in a file that is rounded to the places of registers
DIMENSION = {"polygon": {2}, "line": {1}, "point": {0}, "any": {0, 1, 2}}
ANYWHERE = "; it may lie anywhere, so until then the layer counts as unknown everywhere"


@dataclass(frozen=True)
class Prepared:
    """A layer that conforms, in the working CRS, with what had to be left out and why."""

    layer: Layer
    features: pd.DataFrame
    geometries: Geoms
    raster: Raster | None = None
    rejected: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)
    wkb: pa.LargeBinaryArray | None = None  # the geometries', made once for digest, file and snapshot

    @property
    def features_in(self) -> int:
        return self.layer.loaded + self.layer.rejected


def prepare(
    path: Path,
    role_name: str,
    target: CRS,
    *,
    crs: str | None = None,
    encoding: str | None = None,
    fields: Mapping[str, str] | None = None,
    field_map: Mapping[str, str] | None = None,
    layer: str | None = None,
    extent: shapely.Geometry | None = None,
    neighbourhood: Bounds | None = None,
    vintage: str | None = None,
    accuracy_m: float | None = None,
    classification: str = "内部",
) -> Prepared:
    """Read a file as one role's layer in the county's working CRS.

    Parameters
    ----------
    path : what `layers.reading` reads; a GeoTIFF for raster roles
    crs, encoding, layer : what the file does not say or says wrongly
    fields : our column -> the file's field, or `=constant`
    field_map : our column -> the file's field, of an export's `NAME.fields.csv`: fields get their names back first
    extent : ground that was surveyed, working CRS; without it the box around the features counts
    neighbourhood : box of what the county already holds; a file that lies far from it is refused

    Raises BadInput with every fault found; NeedCrs where the reference system is missing or contradicts itself.
    """
    if classification == "秘密":
        fix = "Keep it where such data is kept, or have its keeper lower its class"
        raise BadInput(f"{path.name} may not be kept here", [Fault("it is classified 秘密", fix, file=path.name)])
    wanted = role(role_name)
    if wanted.is_raster:
        _refuse_for_grids(path, encoding=encoding, fields=fields, layer=layer, extent=extent)
        return _prepare_raster(path, wanted, target, crs, neighbourhood, vintage, accuracy_m, classification)
    raw = _extract(path, role_name) if path.suffix.lower() == ".pbf" and layer is None else None
    if raw is not None and extent is None:
        fix = "Say --extent: the ground where somebody made sure that all of it is mapped"
        raise BadInput(f"where is {path.name} complete?", [Fault("volunteers map what they know", fix, file=path.name)])
    raw = raw or read(path, layer=layer, encoding=encoding)
    geometries, layer_name = raw.geometries, raw.found["layer"]
    source = crs_.of_file(raw.crs, crs, path.name, layer_name)
    if crs is None:
        crs_.refuse_twin(source, target, path.name, layer_name)
    lost = crs_.lost(source, geometries)
    bounds = _finite_bounds(geometries if lost.all() else geometries[~lost])
    if bounds is not None:
        crs_.refuse_misplaced(source, bounds, path.name, layer_name)
    moved = crs_.transform(geometries, source, target).copy()
    moved[lost] = crs_.transform_lost(geometries[lost], source, target)
    made = from_frame(
        gpd.GeoDataFrame(restored(raw.table, field_map or {}), geometry=moved, crs=target),
        role_name,
        source=path.name,
        fields=fields,
        extent=extent,
        neighbourhood=neighbourhood,
        vintage=vintage,
        accuracy_m=accuracy_m,
        classification=classification,
    )
    found = {**raw.found, "crs": source.name}
    said = {ours: (field_map or {}).get(name, name) for ours, name in made.layer.fields.items()}
    layer_ = replace(made.layer, found=found, fields=said)
    return replace(
        made,
        layer=layer_,
        notes=raw.notes + other_meanings(layer_name, role_name, file=path.name) + made.notes,
        found=found,
    )


def _refuse_for_grids(path: Path, **options: object) -> None:
    """What is said of a grid and would change nothing must not look as if it had."""
    faults = [
        Fault(f"a grid takes no {name}", f"Leave {name} out; cells without a value are unknown", file=path.name)
        for name, said in options.items()
        if said is not None and said != {}
    ]
    if faults:
        raise BadInput(f"{path.name} is a grid", faults)


def _extract(path: Path, role_name: str) -> RawLayer:
    """What an OpenStreetMap extract holds of a role, from whichever of its layers has it."""
    return osm.pick(role_name, [read(path, layer=layer) for layer in osm.layers_for(role_name)], file=path.name)


def from_frame(
    frame: gpd.GeoDataFrame,
    role_name: str,
    *,
    source: str,
    fields: Mapping[str, str] | None = None,
    extent: shapely.Geometry | None = None,
    neighbourhood: Bounds | None = None,
    vintage: str | None = None,
    accuracy_m: float | None = None,
    classification: str = "内部",
) -> Prepared:
    """A frame already in the working CRS, as a layer of the role; faults as in `prepare`."""
    wanted = role(role_name)
    _refuse_coarse(accuracy_m, role_name, source)
    table = pd.DataFrame(frame.drop(columns=frame.geometry.name)).reset_index(drop=True)
    geometries: Geoms = np.asarray(frame.geometry.values, dtype=object)
    conformed = conform(table, wanted, fields or {}, file=source)
    reasons = _reasons(geometries, wanted)
    keep = reasons == ""
    rejected = tuple(
        Fault(reason, fix, file=source, layer=role_name, feature=str(conformed.table["id"].iloc[row]))
        for row in np.flatnonzero(~keep)
        for reason, fix in [reasons[row].split("|", 1)]
    )
    if extent is None and not keep.any():
        raise BadInput(
            f"{source} has no usable feature",
            rejected
            or [
                Fault(
                    "it has no features",
                    "If the survey found nothing, say where it looked with --extent",
                    file=source,
                )
            ],
        )
    kept = geometries if keep.all() else geometries[keep]
    kept = unwrapped(shapely.force_2d(kept) if (shapely.get_coordinate_dimension(kept) > 2).any() else kept)
    features = conformed.table if keep.all() else conformed.table[keep].reset_index(drop=True)
    bounds = _finite_bounds(kept)
    if neighbourhood is not None and bounds is not None:
        _refuse_far(bounds, neighbourhood, source)
    if extent is None and bounds is not None:
        extent = shapely.box(*bounds)
    surveyed = _without(extent, geometries[~keep])
    wkb = as_wkb(kept)
    digest = digest_of(role_name, features, wkb, surveyed)
    notes = conformed.notes
    if wanted.geometry == "polygon":
        features, told = _measured(features, kept, frame.crs, conformed.renamed, source, role_name)
        notes += told
    synthetic = "synthetic" in features and len(features) > 0 and bool((features["synthetic"] == True).all())  # noqa: E712
    layer = Layer(
        role_name,
        0,
        digest,
        source,
        surveyed,
        loaded=int(keep.sum()),
        rejected=len(rejected),
        vintage=vintage,
        synthetic=synthetic,
        fields=dict(conformed.bound),
        accuracy_m=accuracy_m,
        classification=classification,
    )
    return Prepared(layer, features, kept, None, rejected, notes, wkb=wkb)


def _refuse_coarse(accuracy_m: float | None, role_name: str, source: str) -> None:
    """A layer whose borders may be off by more than MAX_ACCURACY_M decides about no parcel."""
    if accuracy_m is None or 0 <= accuracy_m <= MAX_ACCURACY_M:
        return
    raise BadInput(
        f"{source} states an accuracy that no check can use",
        [
            Fault(
                f"its borders are said to be off by up to {accuracy_m:g} m; 0 to {MAX_ACCURACY_M:g} m are allowed",
                "State the accuracy of the survey in metres, or take a layer surveyed at a larger scale",
                file=source,
                layer=role_name,
                field="accuracy_m",
            )
        ],
    )


def _measured(
    features: pd.DataFrame, geometries: Geoms, crs: CRS, renamed: Mapping[str, str], source: str, role_name: str
) -> tuple[pd.DataFrame, tuple[Fault, ...]]:
    """Features with their areas; a file's own column of such a name stays under another, unless it says the same."""
    areas: dict[str, NDArray[Any]] = {
        "area_m2": shapely.area(geometries),
        "area_ellipsoid_m2": area.ellipsoid_m2(geometries, crs),
        "area_method": np.full(len(geometries), area.method(crs), dtype=object),
    }
    again = [free for name, free in renamed.items() if _says(features[free], areas[name])]
    notes = tuple(
        Fault(
            f"the file has a field {name!r} of its own",
            f"It is kept as {free}; {name} is measured from the geometry",
            file=source,
            layer=role_name,
            field=name,
        )
        for name, free in renamed.items()
        if free not in again
    )
    return features.drop(columns=again).assign(**areas), notes


def _says(values: pd.Series, measured: NDArray[Any]) -> bool:
    """Whether a column of a file repeats what is measured, as a layer does that was exported from here."""
    if measured.dtype == object:
        return bool((values.astype(object) == measured).all())
    said = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    return bool((np.abs(said - measured) <= SAME_M2).all())


def unwrapped(geometries: Geoms) -> Geoms:
    """Multi-geometries of one part as that part: formats differ in how they wrap one and the same ground."""
    alone = (shapely.get_type_id(geometries) > 3) & (shapely.get_num_geometries(geometries) == 1)
    if not alone.any():
        return geometries
    plain: Geoms = geometries.copy()
    plain[alone] = shapely.get_geometry(geometries[alone], 0)
    return plain


def _reasons(geometries: Geoms, role: Role) -> np.ndarray:
    """Why each geometry cannot be loaded, as `reason|fix`; empty where it can. The first reason counts."""
    missing = shapely.is_missing(geometries)
    wild = np.zeros(len(geometries), dtype=bool)
    if not np.isfinite(shapely.get_coordinates(geometries)).all():
        coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
        wild[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    too_many = shapely.get_num_coordinates(geometries) > MAX_FEATURE_VERTICES
    wrong = ~np.isin(shapely.get_dimensions(geometries), list(DIMENSION[role.geometry]))
    wrong |= shapely.get_type_id(geometries) == 7  # the parts of a collection may lie on each other
    wrong &= ~(shapely.is_empty(geometries) | missing)
    invalid = np.zeros(len(geometries), dtype=bool)
    testable = ~(missing | wild | too_many)
    invalid[testable] = ~np.concatenate([np.empty(0, dtype=bool), *blockwise(shapely.is_valid, geometries[testable])])
    why = np.full(len(geometries), "", dtype=object)
    shape = {"polygon": "an area", "line": "a line", "point": "a point", "any": "points, lines or areas alone"}
    for mask, text in (
        (
            invalid & ~wrong,
            None,
        ),
        (wrong, f"its geometry is not {shape[role.geometry]}|The role {role.name} takes {role.geometry} features"),
        (too_many, f"it has more than {MAX_FEATURE_VERTICES:,} vertices|Split the feature"),
        (wild, f"a coordinate is not a finite number or lies nowhere on earth|Correct the coordinates{ANYWHERE}"),
        (shapely.is_empty(geometries) & ~missing, f"its geometry is empty|Draw it or delete the row{ANYWHERE}"),
        (missing, f"it has no readable geometry|Draw it or delete the row{ANYWHERE}"),
    ):
        if text is not None:
            why[mask] = text
        elif mask.any():
            why[mask] = [
                f"its geometry is not valid ({reason})|Repair it where it crosses itself"
                for reason in shapely.is_valid_reason(geometries[mask])
            ]
    return why


def _without(extent: shapely.Geometry, rejected: Geoms) -> shapely.Geometry:
    """The surveyed extent less the boxes of what was rejected.

    A rejected feature without a place could have been anywhere, so the layer vouches for nothing until that row is
    corrected or dropped.
    """
    boxes = shapely.bounds(rejected)
    if not np.isfinite(boxes).all() or not np.isfinite(shapely.get_coordinates(rejected)).all():
        return shapely.Polygon()
    return shapely.difference(extent, shapely.union_all(shapely.box(*boxes.T))) if len(boxes) else extent


def _finite_bounds(geometries: Geoms) -> Bounds | None:
    boxes = shapely.bounds(geometries)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if len(boxes) == 0:
        return None
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    return (float(west), float(south), float(east), float(north))


def _refuse_far(bounds: Bounds, neighbourhood: Bounds, source: str) -> None:
    west, south, east, north = neighbourhood
    gap_m = shapely.distance(shapely.box(*bounds), shapely.box(*neighbourhood))
    if gap_m > max(5_000.0, 0.1 * max(east - west, north - south)):
        raise BadInput(
            f"{source} lies outside the county",
            [
                Fault(
                    f"it lies {gap_m / 1000:,.0f} km from the layers that are already loaded",
                    "Check the zone prefix and the CRS, or that the file is of this county",
                    file=source,
                )
            ],
        )


def read_area(path: Path, target: CRS, *, crs: str | None = None) -> shapely.Geometry:
    """The ground that all features of a boundary file cover together, in the working CRS."""
    prepared = prepare(path, "plots", target, crs=crs)
    if prepared.rejected:
        raise BadInput(f"{path.name} is not a boundary that can be measured", prepared.rejected)
    return shapely.union_all(prepared.geometries)


# --- grids ------------------------------------------------------------------------------------------


def _prepare_raster(
    path: Path,
    role: Role,
    target: CRS,
    crs: str | None,
    neighbourhood: Bounds | None,
    vintage: str | None,
    accuracy_m: float | None,
    classification: str,
) -> Prepared:
    """A single-band grid as float32 in the working CRS, NaN where the file has no value."""
    grid = read_grid(path)
    values, transform, nodata = grid.values, rasterio.Affine(*grid.transform), grid.nodata
    source = crs_.of_file(grid.crs, crs, path.name, None)
    if crs is None:
        crs_.refuse_twin(source, target, path.name, None)
    crs_.refuse_misplaced(source, grid.bounds, path.name, None)
    if nodata is not None:
        with np.errstate(over="ignore"):  # a float64 "no value" is infinite here, as are the cells that hold it
            values[np.isclose(values, np.float32(nodata), rtol=1e-6, atol=0)] = np.nan
    values[~np.isfinite(values)] = np.nan
    if not (crs_.same_code(source, target) and _is_upright(transform)):
        values, transform = _warp(values, transform, source, target)
    cell_m, west, north = float(transform.a), float(transform.c), float(transform.f)
    made = from_grid(values, west, north, cell_m, role.name, source=path.name, vintage=vintage)
    said = replace(made.layer, accuracy_m=accuracy_m, classification=classification)
    made = replace(made, layer=said, raster=None if made.raster is None else replace(made.raster, layer=said))
    if neighbourhood is not None:
        _refuse_far(made.layer.extent.bounds, neighbourhood, path.name)
    return replace(made, found={**grid.found, "crs": source.name, "cell_m": f"{cell_m:g}"})


def from_grid(
    values: NDArray[np.float32],
    west: float,
    north: float,
    cell_m: float,
    role_name: str,
    *,
    source: str,
    synthetic: bool = False,
    vintage: str | None = None,
) -> Prepared:
    """A grid already in the working CRS, as a layer of a raster role; its box is its surveyed extent."""
    rows, columns = values.shape
    extent = shapely.box(west, north - rows * cell_m, west + columns * cell_m, north)
    geometries: Geoms = np.array([extent], dtype=object)
    table = pd.DataFrame({"id": [f"{role_name}-1"]})
    content = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    digest = digest_of(f"{role_name} {cell_m} {content}", table, as_wkb(geometries), extent)
    layer = Layer(role_name, 0, digest, source, extent, loaded=1, synthetic=synthetic, vintage=vintage)
    raster = Raster(layer, values.astype(np.float32), west, north, cell_m)
    return Prepared(layer, table, geometries, raster)


def _is_upright(transform: rasterio.Affine) -> bool:
    return bool(transform.b == 0 and transform.d == 0 and np.isclose(transform.a, -transform.e, rtol=1e-6))


def _warp(
    values: NDArray[np.float32], transform: rasterio.Affine, source: CRS, target: CRS
) -> tuple[NDArray[np.float32], rasterio.Affine]:
    """Bilinear resampling to square cells of the working CRS; a cell next to no data stays without."""
    rows, columns = values.shape
    west, south, east, north = rasterio.transform.array_bounds(rows, columns, transform)
    from_wkt, to_wkt = source.to_wkt(), target.to_wkt()
    new_transform, width, height = calculate_default_transform(
        from_wkt, to_wkt, columns, rows, west, south, east, north
    )
    out = np.full((height, width), np.nan, dtype=np.float32)
    reproject(
        values,
        out,
        src_transform=transform,
        src_crs=from_wkt,
        dst_transform=new_transform,
        dst_crs=to_wkt,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    return out, new_transform
