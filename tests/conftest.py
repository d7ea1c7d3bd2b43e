"""What a test may need beyond Python: programs, browser parts, measured data sets."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.stores import InDatabase, InFiles, Stores

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PARKPLAN_SHARED_DATA") or ROOT.parent / "shared" / "data")
IN_CI = os.environ.get("CI") == "true"


def pytest_configure() -> None:
    os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and a console keeps the width it is made with


def program(name: str) -> str | None:
    """Where a program lies: beside this Python (development tools), else on the PATH."""
    return shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)


def absent(need: str) -> str | None:
    """Why a need is not met, in words for the report; None where it is."""
    if need == "shared":
        return None if SHARED.is_dir() else f"no data sets at {SHARED} (PARKPLAN_SHARED_DATA names another folder)"
    if need == "vendor":
        there = (ROOT / "api" / "static" / "vendor" / "manifest.json").is_file()
        return None if there else "no browser parts in api/static/vendor (./scripts/test fetches them)"
    if need == "font":
        return _no_font()
    if need == "postgis":
        return postgres.missing()
    return None if program(need) else f"{need} is not installed (./scripts/test installs it where it may)"


def _no_font() -> str | None:
    from api.reports import fonts
    from layers.errors import NotInstalled

    try:
        fonts.found()
    except NotInstalled as error:
        return error.message
    return None


@pytest.hookimpl(tryfirst=True)  # before fixtures, which may already want the thing
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if reason := absent(need):
                # CI installs everything but the data sets, which not every checkout may have
                if IN_CI and need != "shared":
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of measured data sets; a test that asks for it is skipped where there is none."""
    if reason := absent("shared"):
        pytest.skip(reason)
    return SHARED


@pytest.fixture(scope="session")
def postgis_server() -> Iterator[str]:
    """The URL of a throwaway database with PostGIS. Who asks for it is marked `needs("postgis")`."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def databases(postgis_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InDatabase:
    """Counties in a database; what they keep on this machine is in the test's folder."""
    monkeypatch.setenv("PARKPLAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PARKPLAN_STATE", str(tmp_path / "state"))
    return InDatabase(postgis_server)


@pytest.fixture(params=["gpkg", pytest.param("postgis", marks=pytest.mark.needs("postgis"))])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Each kind of store in turn."""
    if request.param == "gpkg":
        return InFiles(tmp_path)
    made: InDatabase = request.getfixturevalue("databases")
    return made
