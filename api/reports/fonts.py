"""The Chinese font of printed reports. Without one nothing is printed: a page of boxes is worse than none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import typst

from layers.errors import NotInstalled

ENV = "PARKPLAN_FONTS"
USUAL = (  # where packages put it; a folder of our own is faster to read than all of the system's fonts
    Path("/usr/share/fonts/opentype/noto"),
    Path("/usr/share/fonts/noto-cjk"),
    Path("/usr/share/fonts/google-noto-cjk"),
    Path("/usr/share/fonts/opentype/source-han-sans"),
)
SANS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "Source Han Sans CN", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Droid Sans Fallback",
)  # fmt: skip
SERIF = ("Noto Serif CJK SC", "Source Han Serif SC", "Noto Serif SC", "Source Han Serif CN", "Songti SC", "SimSun")
FIX = (
    "install a Chinese font (Debian, Ubuntu: apt-get install fonts-noto-cjk), "
    f"or name a folder that holds one in {ENV}"
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The families to set text in, and typst's own view of the files they lie in."""

    sans: str
    serif: str
    fonts: typst.Fonts


@lru_cache(maxsize=1)
def _found(folder: str | None) -> Found:
    usual = [one for one in USUAL if one.is_dir()]
    for folders, system in _places(folder, usual):
        fonts = typst.Fonts(include_system_fonts=system, include_embedded_fonts=True, font_paths=folders)
        there = set(fonts.families())
        sans = next((one for one in SANS if one in there), None)
        serif = next((one for one in SERIF if one in there), None)
        if sans is not None or serif is not None:
            return Found(str(sans or serif), str(serif or sans), fonts)
    where = f"in {Path(folder).name}" if folder else "on this machine"
    raise NotInstalled(f"no Chinese font {where}, so that nothing can be printed: {FIX}", what="chinese-font")


def _places(folder: str | None, usual: list[Path]) -> list[tuple[list[Path], bool]]:
    if folder:
        return [([Path(folder)], False)]
    return [*([(usual, False)] if usual else []), ([], True)]


def found() -> Found:
    """The fonts of this machine, looked for once. NotInstalled where there is no Chinese one."""
    return _found(os.environ.get(ENV) or None)
