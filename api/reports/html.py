"""A report as one HTML file: no script, nothing loaded, printable with numbered pages; drawings at their true size."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

import jinja2

from api.reports.model import Report
from api.reports.spelled import spelled

MEDIA_TYPE = "text/html; charset=utf-8"
TEMPLATES = Path(__file__).parent.parent / "templates"
NUMBERS = "一二三四五六七八九十"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["ordinal"] = ordinal
    return pages.get_template("report.html")


def ordinal(number: int) -> str:
    """1 to 99 as Chinese headings count.

    >>> [ordinal(n) for n in (1, 10, 12, 20, 34)]
    ['一', '十', '十二', '二十', '三十四']
    """
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else NUMBERS[tens - 1] + "十"
    return head + (NUMBERS[ones - 1] if ones else "")


def write(report: Report) -> str:
    """The page. Its policy (`csp`) stands in it, so that it holds for a file on a stick as well."""
    return _template().render(report=spelled(report), style=style(report), csp=csp(report))


@lru_cache(maxsize=1)
def _sheet() -> str:
    return (TEMPLATES / "report.css").read_text("utf-8")


def style(report: Report) -> str:
    """The style with this report's own page foot; of the report it holds hexadecimal digits and a yes or no."""
    notice = "含合成数据，仅供演示 Contains synthetic data" if report.synthetic else "内部使用 Internal use"
    return _sheet().replace("@STAMP@", report.digest[:16]).replace("@NOTICE@", notice)


def csp(report: Report) -> str:
    """Nothing but this style, by its digest."""
    digest = base64.b64encode(hashlib.sha256(style(report).encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:"
