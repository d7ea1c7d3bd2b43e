"""What a test may need beyond Python: programs, browser parts, measured data sets."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PARKPLAN_SHARED_DATA") or ROOT.parent / "shared" / "data")
IN_CI = os.environ.get("CI") == "true"


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
    return None if program(need) else f"{need} is not installed (./scripts/test installs it where it may)"


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
