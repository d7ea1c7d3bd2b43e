"""From a survey's file to a layer ready to be stored, with every fault of the file said at once.

Features in = features loaded + features rejected with a reason, always. Ground under a rejected feature is taken
out of the surveyed extent: a protected area that could not be read must not look like free land.
"""

from __future__ import annotations

import codecs
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from rasterio.warp import Resampling, calculate_default_transform, reproject

from layers import crs as crs_
from layers.errors import BadInput, Fault, UnknownName
from layers.records import Bounds, Geoms, Layer, Raster
from layers.schema import Role, conform, role
from layers.snapshot import digest_of

MAX_FEATURE_VERTICES = 1_000_000
DIMENSION = {"polygon": {2}, "line": {1}, "point": {0}, "any": {0, 1, 2}}
ANYWHERE = "; it may lie anywhere, so until then the layer counts as unknown everywhere"
READABLE = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gdb", ".kml", ".dxf", ".tab", ".mif")


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
    path : GPKG, Shapefile (also zipped, in a sub-folder), GeoJSON, FlatGeobuf, ...; GeoTIFF for raster roles
    crs, encoding, layer : what the file does not say or says wrongly
    fields : our column -> the file's field, or `=constant`
    extent : ground that was surveyed, working CRS; without it the box around the features counts
    neighbourhood : box of what the county already holds; a file that lies far from it is refused

    Raises BadInput with every fault found; NeedCrs where the reference system is missing or contradicts itself.
    """
    if not path.exists():
        raise BadInput(f"there is no file {path.name}", [Fault("not found", "Check the path", file=path.name)])
    if path.is_file() and path.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty", [Fault("it has no bytes", "Copy it again", file=path.name)])
    wanted = role(role_name)
    if wanted.is_raster:
        return _prepare_raster(path, wanted, target, crs, neighbourhood, vintage)
    table, geometries, found_crs, found = _read(path, layer, encoding)
    layer_name = found["layer"]
    source = crs_.of_file(found_crs, crs, path.name, layer_name)
    if crs is None:
        crs_.refuse_twin(source, target, path.name, layer_name)
    lost = crs_.lost(source, geometries)
    bounds = _finite_bounds(geometries if lost.all() else geometries[~lost])
    if bounds is not None:
        crs_.refuse_misplaced(source, bounds, path.name, layer_name)
    moved = crs_.transform(geometries, source, target).copy()
    moved[lost] = crs_.transform_lost(geometries[lost], source, target)
    made = from_frame(
        gpd.GeoDataFrame(table, geometry=moved, crs=target),
        role_name,
        source=path.name,
        fields=fields,
        extent=extent,
        neighbourhood=neighbourhood,
        vintage=vintage,
        accuracy_m=accuracy_m,
        classification=classification,
    )
    found = {**found, "crs": source.name}
    return replace(made, layer=replace(made.layer, found=found), found=found)


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
    kept = unwrapped(shapely.force_2d(geometries[keep]))
    features = conformed.table[keep].reset_index(drop=True)
    bounds = _finite_bounds(kept)
    if neighbourhood is not None and bounds is not None:
        _refuse_far(bounds, neighbourhood, source)
    if extent is None and bounds is not None:
        extent = shapely.box(*bounds)
    surveyed = _without(extent, geometries[~keep])
    synthetic = "synthetic" in features and len(features) > 0 and bool((features["synthetic"] == True).all())  # noqa: E712
    layer = Layer(
        role_name,
        0,
        digest_of(role_name, features, kept, surveyed),
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
    return Prepared(layer, features, kept, None, rejected, conformed.notes)


def unwrapped(geometries: Geoms) -> Geoms:
    """Multi-geometries of one part as that part: formats differ in how they wrap one and the same ground."""
    alone = (shapely.get_type_id(geometries) > 3) & (shapely.get_num_geometries(geometries) == 1)
    plain: Geoms = np.where(alone, shapely.get_geometry(geometries, 0), geometries)
    return plain


def _reasons(geometries: Geoms, role: Role) -> np.ndarray:
    """Why each geometry cannot be loaded, as `reason|fix`; empty where it can. The first reason counts."""
    missing = shapely.is_missing(geometries)
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    wild = np.zeros(len(geometries), dtype=bool)
    wild[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    too_many = shapely.get_num_coordinates(geometries) > MAX_FEATURE_VERTICES
    parts, part_owner = shapely.get_parts(geometries, return_index=True)
    wrong = np.zeros(len(geometries), dtype=bool)
    wrong[part_owner[~np.isin(shapely.get_dimensions(parts), list(DIMENSION[role.geometry]))]] = True
    wrong |= shapely.get_type_id(geometries) == 7  # the parts of a collection may lie on each other
    wrong &= ~shapely.is_empty(geometries)
    invalid = np.zeros(len(geometries), dtype=bool)
    testable = ~(missing | wild | too_many)
    invalid[testable] = ~shapely.is_valid(geometries[testable])
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


# --- reading through GDAL -------------------------------------------------------------------------


def _read(
    path: Path, layer: str | None, encoding: str | None
) -> tuple[pd.DataFrame, Geoms, str | None, dict[str, str]]:
    """Attributes, geometries (None where unreadable), CRS, and the names of layer and encoding of one vector layer."""
    source = _inside_zip(path, layer) if path.suffix.lower() == ".zip" else str(path)
    try:
        codecs.lookup(encoding or "UTF-8")
        names = [str(name) for name in pyogrio.list_layers(source)[:, 0]]
        chosen = _choose(names, layer, path)
        frame, spoken = _decoded(source, chosen, encoding)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path.name} is not in the encoding it claims",
            [Fault(f"{error.reason} at byte {error.start}", "Say --encoding GB18030 or UTF-8", file=path.name)],
        ) from error
    except LookupError as error:
        raise BadInput(
            f"{encoding!r} is not an encoding", [Fault(str(error), "Say --encoding GB18030 or UTF-8", file=path.name)]
        ) from error
    except (DataSourceError, DataLayerError) as error:
        raise BadInput(
            f"{path.name} cannot be read",
            [
                Fault(
                    str(error).split("; ")[0][:300].rstrip("."),
                    "Use GeoPackage, Shapefile, GeoJSON or FlatGeobuf",
                    file=path.name,
                )
            ],
        ) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise BadInput(
            f"{path.name} holds a table without geometry",
            [
                Fault(
                    "the layer has no geometry column",
                    "Choose another with --layer",
                    file=path.name,
                    layer=chosen,
                )
            ],
        )
    found = frame.crs.to_wkt() if frame.crs is not None else None
    return (
        pd.DataFrame(frame.drop(columns=frame.geometry.name)),
        np.asarray(frame.geometry.values, dtype=object),
        found,
        {"layer": chosen, **spoken},
    )


def _decoded(source: str, layer: str, encoding: str | None) -> tuple[pd.DataFrame, dict[str, str]]:
    """One layer, its text decoded as the operator says, else as the file says.

    A Shapefile that says nothing is tried as UTF-8 and then read as GB18030; GDAL would take it for Latin.
    """
    tried: list[str | None] = [encoding]
    if encoding is None and source.lower().endswith(".shp"):
        silent = pyogrio.read_info(source, layer=layer)["encoding"] == "ISO-8859-1"
        tried = ["UTF-8", "GB18030"] if silent else [None]
    for last in tried:
        options = {"encoding": last} if last else {}
        try:
            with np.errstate(invalid="ignore"):  # what is not a number is rejected by name later
                frame = pyogrio.read_dataframe(source, layer=layer, on_invalid="ignore", **options)
            break
        except UnicodeDecodeError:
            if last == tried[-1]:
                raise
    return frame, options


def _choose(names: list[str], layer: str | None, path: Path) -> str:
    if layer is not None:
        if layer not in names:
            raise UnknownName(f"{path.name} has no layer {layer!r}; it has {', '.join(names)}", layer=layer)
        return layer
    if len(names) == 1:
        return names[0]
    reason = "it has no layer" if not names else f"it has {len(names)} layers: {', '.join(names[:20])}"
    raise BadInput(f"which layer of {path.name}?", [Fault(reason, "Choose one with --layer", file=path.name)])


def _inside_zip(path: Path, layer: str | None) -> str:
    """GDAL's name for the one readable file in a zip, in whatever folder it lies."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                name
                for name in archive.namelist()
                if name.lower().endswith(READABLE) and not Path(name).name.startswith("._")  # of a Mac's making
            ]
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadInput(
            f"{path.name} is not a whole zip file", [Fault(str(error), "Pack it again", file=path.name)]
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise BadInput(
            f"{path.name} cannot be unpacked",
            [Fault(str(error), "Pack it without a password, by plain deflate", file=path.name)],
        ) from error
    if damaged is not None:
        raise BadInput(
            f"{path.name} is damaged", [Fault(f"{damaged} is not as it was packed", "Pack it again", file=path.name)]
        )
    if len(members) > 1 and layer is not None:
        members = [name for name in members if Path(name).stem == layer] or members
    if len(members) != 1:
        reason = "no readable file is inside" if not members else f"it holds {', '.join(members[:20])}"
        raise BadInput(
            f"which file of {path.name}?",
            [Fault(reason, "Pack one Shapefile, or choose with --layer NAME", file=path.name)],
        )
    return f"/vsizip/{path}/{members[0]}"


def _prepare_raster(
    path: Path, role: Role, target: CRS, crs: str | None, neighbourhood: Bounds | None, vintage: str | None
) -> Prepared:
    """A single-band grid as float32 in the working CRS, NaN where the file has no value."""
    try:
        with rasterio.open(path) as file:
            values = file.read(1).astype(np.float32)
            nodata, transform, bounds = file.nodata, file.transform, tuple(file.bounds)
            found = file.crs.to_wkt() if file.crs else None
    except rasterio.errors.RasterioError as error:
        raise BadInput(
            f"{path.name} cannot be read as a raster",
            [Fault(str(error)[:300].rstrip("."), "Use a GeoTIFF with one band", file=path.name)],
        ) from error
    source = crs_.of_file(found, crs, path.name, None)
    if crs is None:
        crs_.refuse_twin(source, target, path.name, None)
    crs_.refuse_misplaced(source, bounds, path.name, None)
    if nodata is not None:
        with np.errstate(over="ignore"):  # a float64 "no value" is infinite here, as are the cells that hold it
            values[np.isclose(values, np.float32(nodata), rtol=1e-6, atol=0)] = np.nan
    values[~np.isfinite(values)] = np.nan
    if not (crs_.same_code(source, target) and _is_upright(transform)):
        values, transform = _warp(values, transform, source, target)
    cell_m, west, north = float(transform.a), float(transform.c), float(transform.f)
    made = from_grid(values, west, north, cell_m, role.name, source=path.name, vintage=vintage)
    if neighbourhood is not None:
        _refuse_far(made.layer.extent.bounds, neighbourhood, path.name)
    return replace(made, found={"crs": source.name, "cell_m": f"{cell_m:g}"})


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
    digest = digest_of(f"{role_name} {cell_m} {content}", table, geometries, extent)
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
