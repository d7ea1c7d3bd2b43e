"""Set-up keeps its promises to a clean machine, to an air-gapped office and to an image."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scripts import vendor

ROOT = Path(__file__).resolve().parent.parent
ENTRY_POINTS = ["scripts/demo", "scripts/test", "scripts/check", ".ci/run"]
VENDOR = ROOT / "api" / "static" / "vendor"


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_entry_points_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


@pytest.mark.parametrize("name", [*ENTRY_POINTS, "scripts/setup.sh"])
def test_shell_files_parse(name: str) -> None:
    shell = "bash" if name == ".ci/run" else "sh"
    assert run(shell, "-n", ROOT / name).stderr == ""


def test_without_uv_and_python_set_up_says_what_to_install(tmp_path: Path) -> None:
    result = run(
        shutil.which("sh") or "sh",
        "-c",
        f". '{ROOT}/scripts/setup.sh'; find_uv",
        cwd=tmp_path,
        env={"PATH": "/nowhere"},
    )
    assert result.returncode == 1
    assert "neither uv nor python3" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr


def addresses(node: Any) -> Iterator[str]:
    """Every http address anywhere in a lock."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from addresses(part)
    elif isinstance(node, str) and "://" in node:
        yield node


def test_the_python_lock_names_only_public_hosts() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    assert {urlsplit(a).hostname for a in addresses(lock)} == {"pypi.org", "files.pythonhosted.org"}


def test_the_browser_lock_names_only_public_hosts_and_a_digest_for_each_package() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    del packages[""]  # ourselves
    hosts = {urlsplit(p["resolved"]).hostname for p in packages.values() if "resolved" in p}
    assert hosts <= {"registry.npmjs.org"}
    assert all(p["integrity"].startswith("sha512-") for p in packages.values())


@pytest.mark.needs("vendor")
def test_the_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
    found = {
        file.relative_to(VENDOR).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.rglob("*")
        if file.is_file() and file.name not in {"manifest.json", ".parkplan"}
    }
    assert found == {key: entry["sha256"] for key, entry in manifest.items()}
    locked = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in vendor.PARTS:
        mine = {key: entry for key, entry in manifest.items() if key.startswith(name + "/")}
        assert any(vendor.LICENCE.search(Path(key).name) for key in mine), f"{name} came without its licence"
        assert {entry["version"] for entry in mine.values()} == {locked[f"node_modules/{name}"]["version"]}


@pytest.mark.needs("vendor")
def test_every_file_a_vendored_stylesheet_names_came_along() -> None:
    named = [file for sheet in VENDOR.rglob("*.css") for file in vendor.named_by(sheet)]
    assert len(named) > 20
    assert [file for file in named if not file.is_file()] == []


def test_a_missing_browser_file_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    with pytest.raises(SystemExit, match=r"jquery/dist/jquery\.min\.js(.|\n)*npm ci"):
        vendor.copy(tmp_path / "node_modules", tmp_path / "vendor")
    assert (tmp_path / "vendor").is_dir()


@pytest.mark.needs("hadolint")
def test_the_dockerfile_is_clean() -> None:
    result = run(Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_whatever_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from=" not in line]
    sources = [source for copy in copies for source in copy]
    assert sources
    assert [s for s in sources if not (ROOT / s).exists() or f"!{s}" not in allowed] == []


@pytest.mark.parametrize(
    ("ci", "need", "outcome"),
    [
        ("", "no-such-program", "1 skipped"),
        ("true", "no-such-program", "1 error"),
        ("true", "shared", "1 skipped"),
    ],
)
def test_a_missing_need_skips_and_fails_in_ci_unless_it_is_shared_data(
    tmp_path: Path, ci: str, need: str, outcome: str
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs\n")
    (tmp_path / "test_it.py").write_text(f"import pytest\n@pytest.mark.needs({need!r})\ndef test_it(): pass\n")
    env = {**os.environ, "CI": ci, "PARKPLAN_SHARED_DATA": str(tmp_path / "nowhere")}
    result = run(sys.executable, "-m", "pytest", "-rs", tmp_path, cwd=tmp_path, env=env)
    assert outcome in result.stdout
    assert "not installed" in result.stdout or "no data sets at" in result.stdout
