"""The walls hold where the kernel has them, and their absence is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from layers import reading
from layers.reading import read
from layers.sandbox import fence
from layers.sandbox.limits import Limits
from scripts.doctor import examine
from tests.layers.files import geojson, ring

landlock = pytest.mark.skipif(fence.landlock_abi() == 0, reason="this kernel has no Landlock")
posix = pytest.mark.skipif(sys.platform == "win32", reason="no limits there")


def behind(code: str, read: Path, write: Path) -> dict[str, str]:
    """Run lines behind the fence; for each `name: expression` what it gave."""
    program = f"""
import json, os, sys
from pathlib import Path
from layers.sandbox import fence
fence.raise_up([*fence.code_folders(), Path({str(read)!r})], [Path({str(write)!r})])
said = {{}}
for name, line in {json.loads(code)!r}.items():
    try:
        said[name] = repr(eval(line))
    except OSError as error:
        said[name] = type(error).__name__
print(json.dumps(said))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    told: dict[str, str] = json.loads(done.stdout)
    return told


@landlock
def test_a_fenced_process_has_its_own_folders_and_the_libraries(tmp_path):
    inside, out, other = (tmp_path / name for name in ("in", "out", "other"))
    for folder in (inside, out, other):
        folder.mkdir()
        (folder / "a").write_text(folder.name)
    tries = {
        "read in": f"open({str(inside / 'a')!r}).read()",
        "list in": f"os.listdir({str(inside)!r})",
        "write in": f"open({str(inside / 'a')!r}, 'w')",
        "read out": f"open({str(out / 'a')!r}).read()",
        "write out": f"open({str(out / 'b')!r}, 'w').write('x')",
        "link out": f"os.symlink('/etc/passwd', {str(out / 'c')!r})",
        "pipe out": f"os.mkfifo({str(out / 'd')!r})",
        "read other": f"open({str(other / 'a')!r}).read()",
        "list other": f"os.listdir({str(other)!r})",
        "write other": f"open({str(other / 'b')!r}, 'w')",
        "remove other": f"os.remove({str(other / 'a')!r})",
        "passwd": "open('/etc/passwd').read()",
        "home": "os.listdir(os.path.expanduser('~'))",
        "environment of others": "open(f'/proc/{os.getppid()}/environ').read()",
        "this project": f"os.listdir({str(Path(fence.__file__).resolve().parents[2])!r})",
        "library": "__import__('wave').__name__",
        "program": "os.execv('/bin/true', ['true'])",
    }
    said = behind(json.dumps(tries), inside, out)
    allowed = {"read in": "'in'", "list in": "['a']", "read out": "'out'", "write out": "1", "library": "'wave'"}
    assert said == {**dict.fromkeys(tries, "PermissionError"), **allowed}


@landlock
def test_the_probe_finds_the_walls_that_are_said_to_stand():
    walls, held = reading.state(), reading.probe()
    assert held["up"]
    assert held["programs"]
    assert (held["files"], held["network"] or not walls["network"]) == (walls["files"], True)


def test_without_landlock_files_are_read_all_the_same_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(fence, "landlock_abi", lambda: 0)
    assert reading.state() == {"landlock": 0, "files": False, "network": False, "limits": sys.platform != "win32"}
    assert "no Landlock" in fence.says(reading.state())
    assert fence.raise_up([tmp_path], [tmp_path]) is False
    assert len(read(geojson(tmp_path / "a.geojson", ring()), defences=reading.Defences(fence=False)).table) == 1


@pytest.mark.parametrize(("abi", "network"), [(0, False), (1, False), (3, False), (4, True), (7, True)])
def test_the_state_follows_the_version(abi, network, monkeypatch):
    monkeypatch.setattr(fence, "landlock_abi", lambda: abi)
    assert (fence.state()["files"], fence.state()["network"]) == (abi > 0, network)
    assert ("no TCP" in fence.says(fence.state())) is network


@landlock
@pytest.mark.parametrize("abi", range(1, 9))
def test_older_kernels_are_asked_for_what_they_know(abi, tmp_path):
    """The attributes of every version up to this kernel's own are accepted by it, and those after as the last known."""
    code = (
        f"from layers.sandbox import fence; from pathlib import Path; fence.landlock_abi = lambda: {abi}\n"
        f"print(fence.raise_up([Path({str(tmp_path)!r})], []))\n"
        "try: open('/etc/passwd')\nexcept PermissionError: print('kept')"
    )
    if abi > fence.landlock_abi():
        pytest.skip("this kernel is older")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == "True\nkept\n", done.stderr


@posix
def test_limits_are_hard():
    code = (
        "import resource, json; from layers.sandbox import fence; from layers.sandbox.limits import Limits\n"
        "fence.limit(Limits(cpu_s=7, answer_bytes=1000, open_files=50))\n"
        "kinds = (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)\n"
        "print(json.dumps([resource.getrlimit(kind) for kind in kinds]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(done.stdout) == [[7, 7], [1000, 1000], [50, 50], [0, 0]]


@pytest.mark.skipif(sys.platform != "linux", reason="sysconf differs")
def test_memory_is_bounded_by_the_machine_too():
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert fence.memory_bytes(Limits(memory_bytes=1 << 62)) <= max(there, 2 << 30)
    assert fence.memory_bytes(Limits(memory_bytes=1 << 20)) == 1 << 20


def test_the_doctor_says_how_good_the_walls_are():
    told = {name: (good, word) for name, good, word in examine(None)}
    good, word = told["sandbox"]
    assert word == fence.says(reading.state())
    assert good is bool(reading.state()["network"])


def test_the_child_sees_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "s")
    monkeypatch.setenv("OGR_SKIP", "")
    monkeypatch.setenv("GDAL_CONFIG_FILE", "/x")
    told = reading.asking._environment(tmp_path)
    assert not {"SECRET_KEY", "OGR_SKIP", "GDAL_CONFIG_FILE", "PATH", "HOME"} & told.keys()
