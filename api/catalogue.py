"""The words of the pages, by key, in either language: one catalogue, which maps, workbooks and reports read as well."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

LOCALES = Path(__file__).parent / "static" / "locale"
LANGUAGES = ("zh-CN", "en")
FIRST = LANGUAGES[0]


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every string of the pages in one language, by key. Unknown languages are the first one."""
    chosen = language if language in LANGUAGES else FIRST
    words: dict[str, str] = json.loads((LOCALES / f"{chosen}.json").read_text(encoding="utf-8"))
    return words


def purpose(name: str, language: str = FIRST) -> str:
    """What a purpose of a check is called; a name that is none stands for itself.

    >>> purpose("pre_review"), purpose("pre_review", "en")
    ('用地预审', 'Pre-review')
    """
    return catalogue(language).get(f"purpose.{name}", name)
