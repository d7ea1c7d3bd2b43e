"""Pictures of a plan as SVG: what of each pool is used, and what sparing costs. They open in any browser and print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

FONT = "Noto Sans CJK SC, Source Han Sans SC, Microsoft YaHei, PingFang SC, sans-serif"
MOST_POOLS = 40
INK, BAR, FULL, MUTED = "#1d2733", "#4c8bf5", "#c2003d", "#5a6673"
ROW, LEFT, WIDE = 24, 330, 420
SVG = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" width="{{ width }}" \
height="{{ height }}" font-family="{{ font }}" font-size="13" fill="{{ ink }}">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="26" font-size="17" font-weight="bold">{{ title }}</text>
<text x="16" y="44" font-size="12" fill="{{ muted }}">{{ under }}</text>
{% for one in lines %}
<line x1="{{ one[0] }}" y1="{{ one[1] }}" x2="{{ one[2] }}" y2="{{ one[3] }}" stroke="{{ one[4] }}"/>
{% endfor %}
{% for one in bars %}
<rect x="{{ one[0] }}" y="{{ one[1] }}" width="{{ one[2] }}" height="{{ one[3] }}" fill="{{ one[4] }}" rx="2"/>
{% endfor %}
{% for one in dots %}
<circle cx="{{ one[0] }}" cy="{{ one[1] }}" r="{{ one[2] }}" fill="{{ one[3] }}"><title>{{ one[4] }}</title></circle>
{% endfor %}
{% for one in words %}
<text x="{{ one[0] }}" y="{{ one[1] }}" text-anchor="{{ one[2] }}" font-size="{{ one[3] }}">{{ one[4] }}</text>
{% endfor %}
</svg>
"""
)


def pools_svg(plan: Mapping[str, Any]) -> str:
    """A bar for each pool that is used, the fullest first; red where nothing is left."""
    used = [one for one in plan["pools"] if one["used"] > 0]
    used.sort(key=lambda one: -one["used"] / one["balance"] if one["balance"] > 0 else float("-inf"))
    bars: list[Any] = []
    words: list[Any] = []
    lines: list[Any] = [(LEFT + WIDE, 56, LEFT + WIDE, 64 + ROW * len(used[:MOST_POOLS]), MUTED)]
    for n, one in enumerate(used[:MOST_POOLS]):
        y = 62 + ROW * n
        share = one["used"] / one["balance"] if one["balance"] > 0 else float("inf")
        bars.append((LEFT, y, WIDE, ROW - 8, "#e8edf3"))
        bars.append((LEFT, y, round(WIDE * min(share, 1.0), 1), ROW - 8, FULL if share > 0.999 else BAR))
        words.append((LEFT - 8, y + 13, "end", 12, _named(one)))
        told = f"{one['used']:,.0f} / {one['balance']:,.0f} {one['unit']}"
        words.append((LEFT + WIDE + 8, y + 13, "start", 12, told + (f"（{share:.0%}）" if one["balance"] > 0 else "")))
    title, under = "指标与容量占用", "Quota and capacity: what the plan uses of what there is, the fullest first"
    return _drawn(
        LEFT + WIDE + 220, 80 + ROW * len(used[:MOST_POOLS]), title, under, bars=bars, words=words, lines=lines
    )


def _named(pool: Mapping[str, Any]) -> str:
    name = str(pool["name"])
    if pool["since"] is not None:
        return f"{name}（{pool['since']}–{pool['year']}）"
    return name if name.startswith("quota/") else f"{name}（{pool['year']}）"


def front_svg(plan: Mapping[str, Any]) -> str:
    """Value against what is spared; of two things that are spared the second is the size of the dot."""
    points, names = plan["front"], list(plan["scenario"]["spare"])
    width, height, left, top, right, bottom = 780, 520, 90, 90, 680, 450
    xs = [float(one["spent"][names[0]]) for one in points]
    ys = [float(one["value"]) for one in points]
    x_most, y_most = max(xs, default=0.0) or 1.0, max(ys, default=0.0) or 1.0
    sizes = [float(one["spent"][names[1]]) for one in points] if len(names) > 1 else [0.0] * len(points)
    z_most = max(sizes, default=0.0) or 1.0
    at = [
        (round(left + (right - left) * x / x_most, 1), round(bottom - (bottom - top) * max(y, 0.0) / y_most, 1))
        for x, y in zip(xs, ys, strict=True)
    ]
    dots = [
        (x, y, round(6 + 12 * size / z_most, 1), BAR, _told(one))
        for (x, y), size, one in zip(at, sizes, points, strict=True)
    ]
    words: list[Any] = [
        (x + 20, y - 8, "start", 11, f"{one['placed']} 项") for (x, y), one in zip(at, points, strict=True)
    ]
    lines: list[Any] = [(left, bottom, right, bottom, MUTED), (left, top, left, bottom, MUTED)]
    for step in range(6):
        x, y = left + (right - left) * step / 5, bottom - (bottom - top) * step / 5
        words.append((x, bottom + 18, "middle", 11, f"{x_most * step / 5:,.0f}"))
        words.append((left - 8, y + 4, "end", 11, f"{y_most * step / 5:,.0f}"))
        lines.append((left, y, right, y, "#e8edf3"))
    words.append(((left + right) / 2, bottom + 42, "middle", 13, names[0]))
    words.append((left, top - 24, "middle", 13, "方案价值 value"))
    under = f"Value against {names[0]}" + (f"; the larger the dot, the more {names[1]}" if len(names) > 1 else "")
    return _drawn(width, height, "价值与代价（帕累托前沿）", under, dots=dots, words=words, lines=lines)


def _told(point: Mapping[str, Any]) -> str:
    return f"{point['value']:,.1f}; " + ", ".join(f"{name} {amount:,.0f}" for name, amount in point["spent"].items())


def _drawn(
    width: int,
    height: int,
    title: str,
    under: str,
    *,
    bars: Sequence[Any] = (),
    dots: Sequence[Any] = (),
    words: Sequence[Any] = (),
    lines: Sequence[Any] = (),
) -> str:
    return SVG.render(
        width=width, height=height, title=title, under=under, bars=bars, dots=dots, words=words, lines=lines,
        font=FONT, ink=INK, muted=MUTED,
    )  # fmt: skip
