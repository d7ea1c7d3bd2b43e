"""What holding a site takes, counted by hand: never told by the caller, and unknown is neither zero nor taken."""

import numpy as np
import pytest
import shapely

from gis.check import rulebook
from gis.claims import claim
from gis.ground import Ground
from gis.network import headroom_of, route, upstream_of
from gis.quota import accounts
from layers.errors import BadInput
from layers.records import Areas, Industry, Load, Project
from tests.worlds import SITE, kind_world, layer

BOOK = rulebook()
TEA = Project(id="tea", land_m2=10_000, industry=Industry(code="1530"), power_kva=400, water_m3d=20, effluent_m3d=10.2)
QUOTA = "quota__520625__2026__new_construction"


def field(**changes):
    """All ground is paddy."""
    land = layer(
        "land_use",
        [shapely.box(-1e4, -1e4, 1e4, 1e4)],
        code_system=["GB/T 21010-2017"],
        code=["0101"],
        three_class=["agricultural"],
        cultivated=[True],
        paddy=[True],
    )
    return kind_world(**({"land_use": land} | changes))


def test_built_ground_takes_no_quota_and_the_load_goes_to_what_serves():
    found = claim(SITE, TEA, BOOK, kind_world())
    assert found.areas == Areas()
    assert found.loads == (
        Load("power_kva", 400, (("capacity/substations-1/power_kva",),)),
        Load("water_m3d", 20, (("capacity/water_sources-1/water_m3d",),)),
        Load("effluent_m3d", 11, (("capacity/wastewater_plants-1/effluent_m3d",),)),  # rounded up
    )
    assert dict(found.untaken) == {"freight_td": "货运量：项目未填写"}


def test_converted_ground_costs_nothing_twice_and_a_broken_metre_counts_whole():
    approved = layer(
        "approved_land", [shapely.box(0, 0, 40, 100)], approved_on=["2025-01-01"], valid_until=["2027-01-01"]
    )
    assert claim(SITE, TEA, BOOK, field(approved_land=approved)).areas == Areas(6_000, 6_000, 6_000, 6_000)
    assert claim(shapely.box(0, 0, 1.5, 1.5), TEA, BOOK, field()).areas.paddy == 3


def test_a_site_across_zones_is_charged_by_area_or_to_whom_the_caller_names():
    zones = layer(
        "zones",
        [shapely.box(-1e4, -1e4, 25, 1e4), shapely.box(25, -1e4, 60, 1e4), shapely.box(60, -1e4, 1e4, 1e4)],
        unit_code=["520625-A", "520625-B", "520625-C"],
    )
    world = field(zones=zones).with_pools(**{"quota__520625-A__2026__new_construction": 5.0})
    found = claim(SITE, TEA, BOOK, world)
    assert found.shares == (("520625", 0.75), ("520625-A", 0.25))  # B and C keep no account: the county's
    assert claim(SITE, TEA, BOOK, world, "520625-A").shares == (("520625-A", 1.0),)


def test_what_nobody_knows_is_refused_or_said_not_to_be_taken():
    with pytest.raises(BadInput, match="not known"):
        claim(SITE, TEA, BOOK, field().without("land_use"))
    world = field()
    world._pools = {}
    with pytest.raises(BadInput, match="not known"):
        claim(SITE, TEA, BOOK, world)
    quiet = Project(id="q", land_m2=10_000)
    said = dict(claim(SITE, quiet, BOOK, kind_world()).untaken)
    assert said.keys() == {"power_kva", "water_m3d", "effluent_m3d", "freight_td"}
    no_station = claim(SITE, TEA, BOOK, kind_world().without("substations"))
    assert dict(no_station.untaken)["power_kva"] == "报装容量：可达范围内的设施容量不明"
    far = kind_world(substations=layer("substations", [shapely.Point(1e6, 0)]))
    assert dict(claim(SITE, TEA, BOOK, far).untaken)["power_kva"] == "报装容量：可达范围内无设施，须另行落实"


def test_a_batch_takes_quota_and_no_load():
    found = claim(SITE, None, BOOK, field().with_pools(quota__520625__2025__balance_area=1e5))
    assert (found.areas.new_construction, found.loads) == (10_000, ())
    assert [(one.kind, one.amount) for one in found.others] == [("balance_area", 10_000)]
    assert dict(found.untaken).keys() == {"balance_paddy", "balance_yield"}


def test_a_load_draws_on_every_station_upstream_and_has_no_more_than_the_least_of_them():
    stations = layer(
        "substations",
        shapely.points([[2_000, 0], [1_000, 0], [9_000, 0]]),
        feeds_from=["substations-3", None, "substations-1"],
    )
    pools = {f"capacity/substations-{n}/power_kva": left for n, left in ((1, 900.0), (3, 300.0))}
    assert route("substations-1", upstream_of(stations)) == ("substations-1", "substations-3")  # no way round for ever
    assert headroom_of(stations, pools, "power_kva")[[0, 2]].tolist() == [300.0, 300.0]
    assert np.isnan(headroom_of(stations, pools, "power_kva")[1])
    world = kind_world(substations=stations)
    world._pools = {**world._pools, **pools}
    (load,) = (one for one in claim(SITE, TEA, BOOK, world).loads if one.kind == "power_kva")
    assert load.routes[0] == ("capacity/substations-1/power_kva", "capacity/substations-3/power_kva")


def test_lorries_load_every_stretch_to_the_trunk_road():
    lines = [[(150, 0), (150, 900)], [(150, 900), (150, 2_000)], [(-9_000, 2_000), (9_000, 2_000)], [(0, 0), (-900, 0)]]
    roads = layer(
        "roads", [shapely.LineString(line) for line in lines], road_class=["village", "county", "provincial", "village"]
    )
    pools = {f"capacity/roads-{n}/freight_td": 500.0 for n in (1, 2, 3, 4)}
    site = shapely.box(100, 100, 140, 140)

    def freight(said):
        world = kind_world(roads=roads)
        world._pools = {**world._pools, **said}
        return claim(site, TEA.model_copy(update={"freight_td": 100.0}), BOOK, world)

    (load,) = (one for one in freight(pools).loads if one.kind == "freight_td")
    assert load.routes == (("capacity/roads-1/freight_td", "capacity/roads-2/freight_td"),)
    del pools["capacity/roads-2/freight_td"]
    assert dict(freight(pools).untaken)["freight_td"] == "货运量：可达范围内的设施容量不明"


def test_quota_carried_into_a_year_counts_there_and_nowhere_else():
    world = field()
    world._pools = {
        "quota/U/2025/new_construction": 1.0,
        "quota/U/2025/new_construction@2026": 20.0,
        "quota/U/2026/new_construction": 300.0,
        "quota/U/2024/balance_area": 4_000.0,
        "quota/U/2027/balance_area": 50_000.0,
        "nonsense": 1.0,
    }
    found = accounts(Ground(np.array([SITE], dtype=object), world))
    assert found == {"new_construction": {"U": 320.0}, "balance_area": {"U": 4_000.0}}


def test_linked_quota_stands_for_the_plan_and_its_farmland_is_made_good_where_it_was_saved():
    world = field().with_pools(quota__520625__2024__linked=8e3, quota__520625__2025__balance_area=1e5)
    found = claim(SITE, None, BOOK, world, linked=True)
    assert found.areas == Areas(10_000, 10_000, 10_000, 10_000)  # what is needed stays what it is
    assert found.shares == ()
    assert [(one.kind, one.amount, one.shares) for one in found.others] == [("linked", 10_000, (("520625", 1.0),))]
    assert dict(found.untaken).keys() == {"balance_area", "balance_paddy"}
    assert claim(SITE, None, BOOK, kind_world(), linked=True).others == ()  # built ground needs none
    with pytest.raises(BadInput) as refused:
        claim(SITE, None, BOOK, field(), linked=True)
    assert [fault.field for fault in refused.value.faults] == ["linked"]
    assert claim(SITE, None, BOOK, field(), "U", linked=True).others[0].shares == (("U", 1.0),)
