"""The outlook of a county's land: what is left in each park zone, what is asked for and when, which plots are ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gis.intervals import Interval
from gis.outlook.demand import Ask, Year, asks, by_year
from gis.outlook.readiness import Readiness, cleared_m2, readiness, zones_of_plots
from gis.outlook.waterfall import EVERYWHERE, Reserve, Step, reserve, zones_of
from gis.rules import Rulebook
from layers.errors import UnknownName
from layers.records import Floats, Project, World

__all__ = ["Ask", "Outlook", "Readiness", "Reserve", "Step", "Year", "demand_of", "outlook"]
COUNTY = "*"  # the row of all zones together
NO_ZONE = ""  # the row of what prefers no zone of ours


@dataclass(frozen=True)
class Outlook:
    """`plots` and `cleared` are None where no layer of plots is loaded; `cleared` is (Z + 1, 4) by state of 净地."""

    reserve: Reserve
    asks: tuple[Ask, ...]
    plots: Readiness | None
    plot_zones: tuple[str, ...]
    cleared: Floats | None


def outlook(world: World, projects: Sequence[Project], book: Rulebook) -> Outlook:
    """The land of every zone of a world on its day. UnknownName where no zones are loaded."""
    found = zones_of(world)
    if found is None:
        raise UnknownName("no layer of park zones is loaded", role="zones")
    layer, zones = found
    left = reserve(world, book, layer, zones)
    named = dict(zip(left.names, left.ids, strict=True)) | {one: one for one in left.ids}
    plots = world.near("plots", EVERYWHERE)
    ready = None if plots is None else readiness(plots, world.as_of)
    return Outlook(
        left,
        tuple(asks(projects, book, named, world.as_of)),
        ready,
        () if plots is None else zones_of_plots(plots, layer),
        None if plots is None or ready is None else cleared_m2(ready, plots, zones),
    )


def demand_of(found: Outlook, zone: str) -> list[Year]:
    """Demand by year of a zone, of `COUNTY`, or of `NO_ZONE`, against the ground that is left there."""
    left = found.reserve
    if zone == NO_ZONE:
        return by_year(found.asks, NO_ZONE, None)
    mine = np.ones(len(left.ids), dtype=bool) if zone == COUNTY else np.array([one == zone for one in left.ids])
    net_m2 = left.net_m2[mine].sum(keepdims=True)
    net = Interval(net_m2, net_m2 + left.unknown_m2[mine].sum(keepdims=True).reshape(1))
    return by_year(found.asks, None if zone == COUNTY else zone, net)
