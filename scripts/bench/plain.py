"""The peer: the same measurements as a careful geopandas script would take them. Index first, then intersection.

It reads the layers as they are stored, uncut, and measures every column the screening rules ask for.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import geometry_mask
from rasterio.transform import from_origin

from gis.check import Checked
from gis.facts import FACTS
from gis.ground import Distance, EdgeDistance, Outside, Overlap, Terrain
from gis.sorts import IsIn, Within
from gis.terrain import slope_deg
from layers.records import Raster
from layers.store import Store

MEASURED = (Distance, Overlap, Outside, Terrain)
LAND_USE = {f"{kind}_m2": Overlap("land_use", IsIn(kind, (True,))) for kind in ("cultivated", "paddy")}


class Plain:
    """The layers of a county as frames, and one row of numbers per site."""

    def __init__(self, store: Store, checked: Checked) -> None:
        self.reach_m = checked.facts.reach_m
        # areas, distances and slope once each: what is derived from them (what is certain, what the quota needs) it
        # need not work out, so that it does less than we do
        self.columns = {name: one for name in checked.facts.columns if isinstance(one := FACTS[name], MEASURED)}
        self.columns |= {name: one for name, one in LAND_USE.items() if name in checked.facts.columns}
        roles = {column.role for column in self.columns.values() if not isinstance(column, Terrain)}
        loaded = {layer.role for layer in store.layers()}
        self.frames = {str(role): store.frame(str(role)) for role in roles if role in loaded}
        for frame in self.frames.values():
            frame.sindex  # noqa: B018 - built before the clock starts, as ours is
        dem = store.at().raster("dem")
        assert dem is not None
        self.dem, self.slope = dem, slope_deg(dem.values, dem.cell_m)

    def one(self, site: shapely.Geometry) -> dict[str, float]:
        """All columns of one site."""
        found: dict[str, float] = {}
        cells = self._cells(self.dem, site)
        for name, column in self.columns.items():
            if isinstance(column, Terrain):
                found[name] = float(np.mean(cells)) if len(cells) else np.nan
                continue
            if column.role not in self.frames:
                continue
            frame = self.frames[column.role]
            if isinstance(column, Distance):
                rows = frame.sindex.query(site, predicate="dwithin", distance=self.reach_m.get(name, 0.0) + 100)
                near = frame.iloc[_counted(frame, column, rows)]
                if len(near):
                    gap = near.distance(site)
                    if isinstance(column, EdgeDistance) and column.width in near:
                        gap = gap - near[column.width].fillna(0) / 2
                    found[name] = float(gap.min())
                else:
                    found[name] = np.inf
            else:
                rows = frame.sindex.query(site, predicate="intersects")
                near = frame.iloc[_counted(frame, column, rows)]
                found[name] = float(near.intersection(site).area.sum())
        return found

    def many(self, sites: gpd.GeoSeries) -> pd.DataFrame:
        """All columns of many sites, a layer at a time."""
        found = pd.DataFrame(index=range(len(sites)))
        found["slope_mean_deg"] = [
            float(np.mean(cells)) if len(cells := self._cells(self.dem, site)) else np.nan for site in sites
        ]
        for name, column in self.columns.items():
            if isinstance(column, Terrain) or column.role not in self.frames:
                continue
            frame = self.frames[column.role]
            if isinstance(column, Distance):
                reach_m = self.reach_m.get(name, 0.0) + 100
                left, right = frame.sindex.query(sites.values, predicate="dwithin", distance=reach_m)
            else:
                left, right = frame.sindex.query(sites.values, predicate="intersects")
            keep = np.isin(right, _counted(frame, column, np.unique(right)))
            left, right = left[keep], right[keep]
            ours, theirs = sites.values[left], frame.geometry.values[right]
            if isinstance(column, Distance):
                gap = pd.Series(shapely.distance(np.asarray(ours), np.asarray(theirs)))
                found[name] = gap.groupby(left).min().reindex(found.index, fill_value=np.inf)
            else:
                area = pd.Series(shapely.area(shapely.intersection(np.asarray(ours), np.asarray(theirs))))
                found[name] = area.groupby(left).sum().reindex(found.index, fill_value=0.0)
        return found

    def by_overlay(self, sites: gpd.GeoSeries) -> None:
        """The same columns with geopandas' own tools: `overlay` for shared ground, `sjoin_nearest` for distance."""
        parcels = gpd.GeoDataFrame({"site": range(len(sites))}, geometry=sites.values, crs=sites.crs)
        for site in sites:
            self._cells(self.dem, site)
        for name, column in self.columns.items():
            if isinstance(column, Terrain) or column.role not in self.frames:
                continue
            frame = self.frames[column.role]
            chosen = frame.iloc[_counted(frame, column, np.arange(len(frame)))][["id", "geometry"]]
            if isinstance(column, Distance):
                reach_m = self.reach_m.get(name, 0.0) + 100
                near = gpd.sjoin_nearest(parcels, chosen, max_distance=reach_m, distance_col="gap")
                near.groupby("site")["gap"].min()
            else:
                shared = gpd.overlay(parcels, chosen, how="intersection", keep_geom_type=True)
                shared.area.groupby(shared["site"]).sum()

    def _cells(self, dem: Raster, site: shapely.Geometry) -> np.ndarray:
        """Slopes of the cells whose centre lies in a site, by rasterio's own mask."""
        west, south, east, north = site.bounds
        column, row = int((west - dem.west) // dem.cell_m), int((dem.north - north) // dem.cell_m)
        width, height = int((east - west) // dem.cell_m) + 2, int((north - south) // dem.cell_m) + 2
        corner = from_origin(dem.west + column * dem.cell_m, dem.north - row * dem.cell_m, dem.cell_m, dem.cell_m)
        values = self.slope[row : row + height, column : column + width]
        inside = geometry_mask([site], values.shape, corner, invert=True)
        return np.asarray(values[inside])


def _counted(frame: gpd.GeoDataFrame, column: object, rows: np.ndarray) -> np.ndarray:
    """Those rows whose class counts for a column."""
    sort = column.sort if isinstance(column, (Distance, Overlap, Outside)) else None
    if isinstance(sort, IsIn):
        return np.asarray(rows[frame[sort.column].iloc[rows].isin(sort.values).to_numpy()])
    if isinstance(sort, Within):
        return np.asarray(rows[frame[sort.column].iloc[rows].between(sort.low, sort.high).to_numpy()])
    return rows
