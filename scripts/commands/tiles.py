"""`parkplan tiles`: the tiles of small zooms and the pictures, drawn before anybody asks."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.console import AsJson, County, err, out, print_json


def tiles(county: County, as_json: AsJson = False) -> None:
    """Draw and keep the map tiles of a county (预先生成地图瓦片): each layer's to zoom 12, relief, slope, suitability.

    What is there already stays; without this the service draws a tile when it is first asked for.
    """
    from api.county import County as Served
    from api.pictures import TITLES
    from api.settings import Settings
    from layers.access import Access
    from layers.places import beside, settled
    from layers.store import open_store

    store, access = open_store(county), Access(beside(county))
    served = Served(store, access, Settings(county=settled(county)))
    made: list[dict[str, Any]] = []
    try:
        roles = served.tiles.roles()
        pictures = list(TITLES) if any(layer.role == "dem" for layer in store.layers()) else []
        bars = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*bars, console=err) as progress:
            task = progress.add_task("", total=len(roles) + len(pictures))
            for count, name in enumerate([*roles, *pictures]):
                progress.update(task, description=name, completed=count)

                def said(done: int, of: int, name: str = name, count: int = count) -> None:
                    progress.update(task, description=f"{name} {done}/{of}", completed=count + done / of)

                start = time.perf_counter()
                built = served.pictures.build(name) if name in TITLES else served.tiles.build(name, said)
                made.append({"name": name, **built._asdict(), "seconds": round(time.perf_counter() - start, 2)})
            progress.update(task, description="", completed=len(made))
    finally:
        store.close()
        access.close()
    if as_json:
        print_json({"tiles": made})
        return
    table = Table("图层 layer", "瓦片 tiles", "最大 largest kB", "存储 stored kB", "秒 s")
    for one in made:
        largest = f"{one['most'] / 1e3:,.0f}" if one["most"] else ""
        stored = f"{one['stored'] / 1e3:,.0f}" if one["stored"] else "已有 there"
        table.add_row(one["name"], f"{one['tiles']:,}", largest, stored, f"{one['seconds']:.1f}")
    out.print(table)
