"""One Chromium for all browser tests, which can reach this machine and nothing else."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

QUIET = (
    "--no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
    " --disable-background-networking --disable-component-update"
    " --disable-sync --no-first-run --disable-quic"
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    blocked = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=shutil.which("chromium"), args=[*QUIET.split(), blocked])
        yield opened
        opened.close()
