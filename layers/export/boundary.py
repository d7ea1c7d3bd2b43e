"""The boundary TXT of land offices (国土 TXT), written by `layers.formats.boundary_txt`."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd

from layers.export.outgoing import Outgoing
from layers.formats import boundary_txt

# the format's column -> ours, the first that the layer has
FROM = {
    "plot_no": ("plot_no", "id"),
    "plot_name": ("plot_name", "name"),
    "sheet": ("sheet",),
    "use": ("use", "code_name", "kind"),
    "code": ("code",),
}


def boundary(place: Path, out: Outgoing) -> None:
    """Plots with number, name, use and code; every other column stays behind, and is named."""
    have = out.table.column_names
    used = {column: next(name for name in ours if name in have) for column, ours in FROM.items() if {*ours} & {*have}}
    left = [name for name in have if name not in used.values()]
    if left:
        out.note(f"a boundary TXT has no place for {', '.join(left)}", "Export .xlsx or .gpkg beside it for the rest")
    out.note("coordinates are rounded to 0.001 m", "Use .gpkg to keep them as they are")
    out.names = {ours: column for column, ours in used.items()}
    table = {column: ["" if said is None else str(said) for said in out.table[ours].to_pylist()]
             for column, ours in used.items()}  # fmt: skip
    frame = gpd.GeoDataFrame(pd.DataFrame(table, dtype=object), geometry=out.geometries, crs=out.crs)
    place.write_bytes(boundary_txt.write(frame, encoding=out.encoding))
    out.progress(len(frame))
