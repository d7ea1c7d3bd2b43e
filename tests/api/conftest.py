"""A small county and a client of its service, for tests that ask for nothing special."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.api.two_zones import served
from tests.counties import found_county


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    with served(path) as client:
        yield client
