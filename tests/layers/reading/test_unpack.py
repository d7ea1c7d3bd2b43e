"""A zip gives one data set within bounds, under names of our own, or it is refused with every fault."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from layers.errors import BadInput, TooLarge
from layers.sandbox.limits import Limits
from layers.sandbox.unpack import SMALL, unpack
from tests.layers.files import _OldName

LIMITS = Limits()


def pack(folder: Path, members: dict[str, bytes], **options: object) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def out_of(path: Path, layer: str | None = None, raster: bool = False, limits: Limits | None = LIMITS):
    into = path.parent / "out"
    into.mkdir(exist_ok=True)
    first, stem = unpack(path, path.name, into, layer, raster, limits)
    there = {str(file.relative_to(into)): file.read_bytes() for file in into.rglob("*") if file.is_file()}
    return first.name, stem, there


SHAPE = {"地块.shp": b"s", "地块.SHX": b"x", "地块.dbf": b"d", "地块.prj": b"p"}


@pytest.mark.parametrize("inside", ["", "县/2024年/", "county\\2024\\"])
def test_one_data_set_comes_out_under_our_name_with_its_side_files_alone(inside, tmp_path):
    more = {"readme.txt": b"", "别的.dbf": b"", "地块.shp.xml": b"<x/>", "地块.vrt": b"", "x.tif": b"", "地块.exe": b""}
    path = pack(tmp_path, {inside + name: content for name, content in {**more, **SHAPE}.items()})
    first, stem, there = out_of(path)
    assert (first, stem) == ("given.shp", "地块")
    assert there == {"given.shp": b"s", "given.shx": b"x", "given.dbf": b"d", "given.prj": b"p"}


def test_a_side_file_of_the_same_name_in_another_folder_is_left(tmp_path):
    assert out_of(pack(tmp_path, {"a/地块.shp": b"s", "b/地块.dbf": b"d"}))[2] == {"given.shp": b"s"}


def test_names_in_gbk_without_a_flag_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("甲.gpkg", "乙.gpkg"):
            info = _OldName(name)
            info.said = "gbk"
            archive.writestr(info, name.encode())
    assert out_of(tmp_path / "a.zip", layer="乙") == ("given.gpkg", "乙", {"given.gpkg": "乙.gpkg".encode()})
    with pytest.raises(BadInput, match=r"it holds 甲\.gpkg, 乙\.gpkg"):
        out_of(tmp_path / "a.zip")


def test_a_geodatabase_is_a_folder(tmp_path):
    members = {"x/县.gdb/a00000001.gdbtable": b"1", "x/县.gdb/gdb": b"2", "x/县.gdb/deeper/b": b"", "x/县.gdb/c d": b""}
    first, stem, there = out_of(pack(tmp_path, members))
    assert (first, stem) == ("given.gdb", "县")
    assert there == {"given.gdb/a00000001.gdbtable": b"1", "given.gdb/gdb": b"2"}


def test_a_grid_or_a_layer_is_taken_as_asked(tmp_path):
    path = pack(tmp_path, {"a.tif": b"t", "a.gpkg": b"g", "a.tif.aux.xml": b"", "a.tif.ovr": b""})
    assert out_of(path)[0] == "given.gpkg"
    (tmp_path / "out" / "given.gpkg").unlink()
    assert out_of(path, raster=True) == ("given.tif", "a", {"given.tif": b"t"})


def test_a_text_counts_by_what_it_says(tmp_path):
    boundary = "[属性描述]\n坐标系=2000国家大地坐标系\n[地块坐标]\n".encode("gbk")
    path = pack(tmp_path, {"readme.txt": b"read me", "meta.xml": b"<metadata/>", "地块.txt": boundary})
    assert out_of(path) == ("given.txt", "地块", {"given.txt": boundary})


@pytest.mark.parametrize(
    "name", ["../a.gpkg", "/etc/a.gpkg", "x/../../a.gpkg", "..\\a.gpkg", "C:\\a.gpkg", "C:a.gpkg", "\\\\host\\a.gpkg"]
)
def test_names_that_lead_out_are_refused(name, tmp_path):
    path = pack(tmp_path, {name: b"g"})
    with pytest.raises(BadInput, match="leads out of the zip"):
        out_of(path)
    assert list((tmp_path / "out").iterdir()) == []
    assert out_of(path, limits=None)[2] == {"given.gpkg": b"g"}  # and without that check nothing is written elsewhere


def test_links_are_refused_and_never_made(tmp_path):
    link = zipfile.ZipInfo("a.gpkg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match="a link"):
        out_of(tmp_path / "a.zip")
    assert out_of(tmp_path / "a.zip", limits=None)[2] == {"given.gpkg": b"/etc/passwd"}
    assert not (tmp_path / "out" / "given.gpkg").is_symlink()


def test_encryption_is_refused(tmp_path):
    path = pack(tmp_path, {"a.gpkg": b"g"})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    with pytest.raises(BadInput, match="encrypted"):
        out_of(path)
    with pytest.raises(BadInput, match="without a password"):
        out_of(path, limits=None)


def test_every_fault_of_the_contents_is_said_at_once(tmp_path):
    path = pack(tmp_path, {f"../{n}.gpkg": b"" for n in range(5)})
    with pytest.raises(BadInput) as refused:
        out_of(path)
    assert len(refused.value.faults) == 5


def test_a_zip_in_a_zip_is_not_opened(tmp_path):
    path = pack(tmp_path, {"inner.zip": b"PK\3\4"})
    with pytest.raises(BadInput, match=r"no readable file.*no zip within the zip"):
        out_of(path)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (replace(LIMITS, members=2), "holds 3 files; at most 2"),
        (replace(LIMITS, ratio=1), "more than 67,108,864 bytes"),
        (replace(LIMITS, unpacked_bytes=1_000), "more than 1,000 bytes"),
    ],
    ids=["members", "ratio", "bytes"],
)
def test_bounds_end_in_too_large(limits, says, tmp_path):
    path = pack(tmp_path, {"a.gpkg": bytes(SMALL + 1), "b": b"", "c": b""})
    with pytest.raises(TooLarge, match=says):
        out_of(path, limits=limits)


def test_what_a_zip_says_of_its_sizes_is_not_believed(tmp_path):
    """A member said to be small gives no more than was said, and its checksum tells."""
    path = pack(tmp_path, {"a.gpkg": bytes(100_000)})
    size = (100_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(BadInput, match="not a whole zip"):
        out_of(path)


def test_damage_in_what_is_not_wanted_is_no_matter(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"0123456789")
        archive.writestr("a.gpkg", b"g")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"9876543210"))
    assert out_of(path)[2] == {"given.gpkg": b"g"}
