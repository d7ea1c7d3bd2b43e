"""Registry maps drawn here: points, curves and surfaces as the Ministry of Justice names them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import shapely

from layers.errors import BadInput
from layers.formats import moj_xml
from layers.records import RawLayer

SPACES = 'xmlns="http://www.moj.go.jp/MINJI/tizuxml" xmlns:zmn="http://www.moj.go.jp/MINJI/tizuzumen"'
CORNERS = {"P1": (100.0, 10.0), "P2": (100.0, 40.0), "P3": (80.0, 40.0), "P4": (80.0, 10.0)}  # north, east
ROUND = ["P1 P2", "P2 P3", "P3 P4", "P4 P1"]


def position(at: Sequence[float | str]) -> str:
    return f"<zmn:X>{at[0]}</zmn:X><zmn:Y>{at[1]}</zmn:Y>"


def curve(name: str, ends: str) -> str:
    """A curve between named points, or points written out as `north;east`."""
    columns = ""
    for end in ends.split():
        if ";" in end:
            held = f"<zmn:GM_Position.direct>{position(end.split(';'))}</zmn:GM_Position.direct>"
        else:
            held = f'<zmn:GM_Position.indirect><zmn:GM_PointRef.point idref="{end}"/></zmn:GM_Position.indirect>'
        columns += f"<zmn:GM_PointArray.column>{held}</zmn:GM_PointArray.column>"
    return f'<zmn:GM_Curve id="{name}"><zmn:GM_Curve.segment>{columns}</zmn:GM_Curve.segment></zmn:GM_Curve>'


def side(name: str, curves: list[str]) -> str:
    named = "".join(f'<zmn:GM_CompositeCurve.generator idref="{one}"/>' for one in curves)
    tag = f"zmn:GM_SurfaceBoundary.{name}"
    return f"<{tag}><zmn:GM_Ring>{named}</zmn:GM_Ring></{tag}>" if curves else ""


def drawn(
    outer: list[str],
    inner: list[str] | None = None,
    system: str = "公共座標9系",
    datum: str = "<測地系判別>測量</測地系判別>",
    number: str = "12-3",
    before: str = "",
) -> bytes:
    points = "".join(
        f'<zmn:GM_Point id="{name}"><zmn:GM_Point.position><zmn:DirectPosition>{position(at)}'
        "</zmn:DirectPosition></zmn:GM_Point.position></zmn:GM_Point>"
        for name, at in CORNERS.items()
    )
    curves = "".join(curve(f"C{n}", ends) for n, ends in enumerate([*outer, *(inner or [])]))
    names = [f"C{n}" for n in range(len(outer) + len(inner or []))]
    boundary = side("exterior", names[: len(outer)]) + side("interior", names[len(outer) :])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<地図 {SPACES}><地図名>図一</地図名>'
        f"<市区町村名>千葉市</市区町村名><座標系>{system}</座標系>{datum}<空間属性>{points}{curves}"
        f'<zmn:GM_Surface id="F1"><zmn:GM_SurfaceBoundary>{boundary}</zmn:GM_SurfaceBoundary></zmn:GM_Surface>'
        f'</空間属性><主題属性><筆 id="H1"><大字コード>015</大字コード><大字名>作草部町</大字名><地番>{number}</地番>'
        f'<形状 idref="F1"/></筆></主題属性></地図>'
    ).encode()


def read(data: bytes) -> RawLayer:
    return moj_xml.read(data, name="図.xml")


def test_a_parcel_is_an_area_with_its_names_north_first():
    raw = read(drawn(ROUND))
    assert raw.geometries[0].bounds == (10, 80, 40, 100)
    assert raw.geometries[0].area == 600
    assert raw.crs == "EPSG:6677"
    assert raw.table.to_dict("records") == [{"筆ID": "H1", "大字コード": "015", "大字名": "作草部町", "地番": "12-3"}]
    assert raw.notes == ()
    assert raw.found["市区町村名"] == "千葉市"
    assert raw.found["layer"] == "図"


@pytest.mark.parametrize("turned", range(16))
def test_curves_are_joined_whichever_way_each_is_drawn(turned):
    curves = [" ".join(reversed(ends.split())) if turned >> n & 1 else ends for n, ends in enumerate(ROUND)]
    assert read(drawn(curves)).geometries[0].area == 600


def test_positions_written_out_and_curves_of_many_points_are_read():
    raw = read(drawn(["P1 100;40 P3", "80;10 P3", "80;10 P1"]))
    assert raw.geometries[0].area == 600


def test_an_interior_is_a_hole():
    raw = read(drawn(ROUND, ["90;20 95;20 95;30", "95;30 90;30 90;20"]))
    assert len(raw.geometries[0].interiors) == 1
    assert raw.geometries[0].area == 550


@pytest.mark.parametrize(("zone", "code"), [("1", 6669), ("19", 6687), ("９", 6677)])
def test_the_zone_names_the_crs(zone, code):
    assert read(drawn(ROUND, system=f"公共座標{zone}系")).crs == f"EPSG:{code}"


@pytest.mark.parametrize("system", ["任意座標系", "公共座標0系", "公共座標20系", ""])
def test_a_local_system_has_no_crs_and_says_so(system):
    raw = read(drawn(ROUND, system=system))
    assert raw.crs is None
    assert raw.geometries[0].area == 600
    assert "where the map lies is not known" in str(raw.notes[0])


@pytest.mark.parametrize("datum", ["", "<測地系判別>旧日本測地系</測地系判別>"])
def test_a_datum_that_is_not_said_is_asked_for(datum):
    raw = read(drawn(ROUND, datum=datum))
    assert raw.crs is None
    assert "--crs, EPSG:6677 if it is JGD2011" in str(raw.notes[0])


@pytest.mark.parametrize(
    "curves",
    [
        ROUND[:3],
        [*ROUND[:3], "P9 P1"],
        [*ROUND[:2], "80;11 P4", "P4 P1"],
        [],
        ["P1 P2", "P2 P1"],
        ["P1 P2 90;x", *ROUND[1:]],
    ],
)
def test_a_parcel_whose_ring_does_not_close_is_counted_and_says_why(curves):
    raw = read(drawn(curves))
    assert list(raw.geometries) == [None]
    assert len(raw.table) == 1
    assert raw.notes[0].feature == "H1 12-3"


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE 地図 [<!ENTITY a "aaaa">]>',
        '<!DOCTYPE 地図 SYSTEM "file:///etc/passwd">',
        '<!doctype 地図 [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_declarations_are_refused_before_anything_is_parsed(before, monkeypatch):
    monkeypatch.setattr(moj_xml.ET, "fromstring", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(BadInput, match="declares a document type"):
        read(drawn(ROUND, before=before, number="&a;&x;"))


def test_a_declaration_hidden_in_another_encoding_is_refused():
    text = drawn(ROUND, before="<!DOCTYPE 地図>").decode().replace("UTF-8", "UTF-16")
    with pytest.raises(BadInput, match="not UTF-8"):
        read(text.encode("utf-16"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not XML"),
        (b"<a>", "not XML"),
        (b"<a/>", "not a registry map"),
        ("<地図/>".encode(), "not a registry map"),
        (b"PK\x03\x04", "not XML"),
        (drawn(ROUND)[:-20], "not XML"),
        (drawn(ROUND).replace("町".encode(), b"\xff"), "not XML"),
        (drawn(ROUND, number="&nbsp;"), "not XML"),
    ],
)
def test_what_is_no_registry_map_is_refused(data, says):
    with pytest.raises(BadInput, match=says):
        read(data)


def test_a_map_without_parcels_has_no_rows():
    raw = read(drawn(ROUND).replace("<筆 ".encode(), "<参照 ".encode()).replace("</筆>".encode(), "</参照>".encode()))
    assert len(raw.table) == len(raw.geometries) == 0
    assert shapely.is_geometry(raw.geometries).size == 0
