"""The command line as tests run it."""

from __future__ import annotations

import os
import sys

import pytest

from tests.said import Run, Said

os.environ.setdefault("PARKPLAN_LANG", "en")  # what these tests read


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`parkplan` in this process, on a terminal of 200 columns."""
    from scripts import cli  # its console keeps the width it is made with: not before tests/conftest.py is ready

    monkeypatch.setenv("COLUMNS", "200")

    def parkplan(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["parkplan", *map(str, arguments)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        return Said(int(code or 0), *capsys.readouterr())

    return parkplan
