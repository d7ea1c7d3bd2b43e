"""How each layer role looks, on the map and in its legend: one table for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

GROUPS = {
    "check": "本次审查 This check",
    "plan": "联合方案 This plan",
    "change": "版本变化 Changes",
    "park": "园区与地块 Parks and parcels",
    "control": "三条控制线 Control lines",
    "nature": "生态与水系 Nature and water",
    "supply": "交通与公用设施 Roads and utilities",
    "risk": "敏感目标与风险 Sensitive sites, hazards",
    "base": "现状与规划 Survey and plan",
}


@dataclass(frozen=True)
class Style:
    """How a role is drawn, on the map and in the legend alike."""

    group: str
    shape: Literal["area", "line", "point"]
    color: str
    fill: str | None = None
    opacity: float = 1.0
    weight: float = 1.5
    dash: str | None = None
    hatch: bool = False
    label: bool = False

    def paint(self, role: str) -> dict[str, Any]:
        """Leaflet path options; a line never takes the fill (Leaflet would fill its hull)."""
        fill = f"url(#hatch-{role})" if self.hatch else self.fill
        return {
            "color": self.color,
            "weight": self.weight,
            "dashArray": self.dash,
            "fill": fill is not None,
            "fillColor": fill,
            "fillOpacity": self.opacity,
            "className": f"role-{role}",
        }

    def swatch(self, role: str) -> str:
        """The legend's small picture, drawn with the same paint."""
        paint = self.paint(role)
        outline = {
            "area": '<rect x="2" y="2" width="24" height="12"/>',
            "line": '<path d="M2 12 L10 4 L18 12 L26 4"/>',
            "point": '<circle cx="14" cy="8" r="5"/>',
        }[self.shape]
        fill = paint["fillColor"] if paint["fill"] and self.shape != "line" else "none"
        pen = f'stroke="{self.color}" stroke-width="{min(self.weight, 3)}" stroke-dasharray="{self.dash or 0}"'
        ink = f'fill="{fill}" fill-opacity="{self.opacity}"'
        return f'<svg class="swatch role-{role}" width="28" height="16" {pen} {ink}>{outline}</svg>'


def _area(group: str, color: str, fill: str | None = None, opacity: float = 0.3, **more: Any) -> Style:
    return Style(group, "area", color, fill, opacity, **more)


def _line(group: str, color: str, weight: float, dash: str | None = None) -> Style:
    return Style(group, "line", color, weight=weight, dash=dash)


def _point(group: str, fill: str, **more: Any) -> Style:
    return Style(group, "point", "#ffffff", fill, **more)


# Projects of a plan, one colour after the other: apart from each other and from the layers beneath.
PLAN_COLORS = (
    "#4363d8", "#e6194b", "#3cb44b", "#f58231", "#911eb4", "#008080", "#9a6324", "#f032e6", "#808000", "#000075",
    "#800000", "#469990",
)  # fmt: skip

# In drawing order, the lowest first. Control lines as land bureaus draw them: basic farmland yellow,
# the ecological red line red and hatched, the urban boundary a broken violet outline.
STYLES: dict[str, Style] = {
    "environment_units": _area("base", "#8d99ae", dash="2 4"),
    "plan_zoning": _area("base", "#b5838d", "#f2d0d9", 0.3, weight=0.6),
    "land_use": _area("base", "#a3a380", "#e9edc9", 0.5, weight=0.5),
    "survey_slope": _area("base", "#b08968", "#ddb892", 0.3, weight=0.5),
    "forest_land": _area("nature", "#6a994e", "#c5dfa8", 0.45, weight=0.8),
    "public_welfare_forest": _area("nature", "#386641", "#8fb996", 0.45, weight=1),
    "nature_reserve": _area("nature", "#2b9348", "#b7e4c7", 0.35, weight=2, dash="6 3"),
    "wetlands": _area("nature", "#2a9d8f", "#a8e6df", 0.5, weight=1),
    "water_protection": _area("nature", "#0077b6", "#caf0f8", 0.35, weight=1.5, dash="6 3"),
    "intake_catchments": _area("nature", "#0077b6", dash="1 5", weight=1.2),
    "river_management": _area("nature", "#4895ef", "#b5dcf7", 0.6, weight=1),
    "farmland_reserve": _area("control", "#c9a200", "#fff6c2", 0.6, dash="4 3", weight=1.2),
    "basic_farmland": _area("control", "#b8860b", "#ffe45c", 0.6, weight=1.2),
    "eco_redline": _area("control", "#d00000", hatch=True, weight=1.2),
    "zones": _area("park", "#00695c", "#4db6ac", 0.10, weight=3, label=True),
    "approved_land": _area("park", "#5e548e", "#cdb4db", 0.5, weight=1),
    "idle_land": _area("park", "#bc6c25", "#ffd6a5", 0.6, weight=1),
    "violations": _area("park", "#9d0208", "#ff8fa3", 0.5, weight=1),
    "residential": _area("risk", "#bc8034", "#f6d7a7", 0.6, weight=1),
    "mining_rights": _area("risk", "#495057", hatch=True, weight=1.2),
    "hazards": _area("risk", "#d9480f", hatch=True, weight=1.2),
    "karst": _point("risk", "#7f5539"),
    "parcels": _area("park", "#6c757d", "#ffffff", 0.35, weight=0.8),
    "plots": _area("park", "#343a40", "#f1f3f5", 0.5, weight=1.2),
    "assigned": _area("check", "#00695c", "#2ec4a6", 0.55, weight=2.5, label=True),
    "placed": _area("park", "#343a40", hatch=True, weight=1.5, dash="6 3"),
    "rivers": _line("nature", "#1e88e5", 2.5),
    "railways": _line("supply", "#343a40", 2.5, "10 5"),
    "roads": _line("supply", "#e8730c", 2.5),
    "water_mains": _line("supply", "#00a5cf", 1.8, "8 3"),
    "power_lines": _line("supply", "#ad1457", 1.5, "2 4"),
    "urban_boundary": _area("control", "#7b2cbf", weight=2.5, dash="10 4"),
    "enterprises": _point("risk", "#6f4e7c"),
    "heritage": _point("risk", "#8c2f39", label=True),
    "villages": _point("risk", "#a68a64", label=True),
    "sensitive_sites": _point("risk", "#e63946", label=True),
    "wastewater_plants": _point("supply", "#6d4c41", label=True),
    "water_sources": _point("supply", "#0077b6", label=True),
    "power_plants": _point("supply", "#f4a100", label=True),
    "substations": _point("supply", "#ad1457", label=True),
    "projects": _point("park", "#00695c"),
    "parcels_before": _area("change", "#5f3dc4", weight=2, dash="2 4"),
    "parcels_after": _area("change", "#087f5b", weight=2, dash="8 4"),
    "change_attributes": _area("change", "#1c7ed6", "#74c0fc", 0.35, weight=1.5),
    "change_ground": _area("change", "#e8590c", "#ffa94d", 0.55, weight=1.5),
    "change_gone": _area("change", "#c2003d", hatch=True, weight=2, dash="5 3"),
    "change_added": _area("change", "#087f5b", "#63e6be", 0.55, weight=2),
    "evidence_exempt": _area("check", "#868e96", "#ced4da", 0.3, weight=2),
    "evidence_pass": _area("check", "#2b8a3e", "#69db7c", 0.3, weight=2),
    "evidence_unknown": _area("check", "#b35c00", hatch=True, weight=2.5, dash="6 4", label=True),
    "evidence_fail": _area("check", "#c2003d", "#ff2e63", 0.55, weight=3, label=True),
    "plan_shared": _line("plan", "#ffca28", 10),
    "route_road": _line("check", "#e8730c", 4, "2 5"),
    "route_effluent": _line("check", "#6d4c41", 4, "9 4"),
    "route_water": _line("check", "#0077b6", 4),
    "route_power": _line("check", "#ad1457", 4, "14 3"),
    "site": _area("check", "#111111", weight=3.5),
    **{f"plan_{n}": _area("plan", color, color, 0.75, weight=2.5, label=True) for n, color in enumerate(PLAN_COLORS)},
    "plan_waits": _area("plan", "#111111", hatch=True, weight=3, dash="6 4"),
}
ORDER = {role: place for place, role in enumerate(STYLES)}
PLAIN = _area("base", "#6c757d", "#adb5bd", 0.3)  # a role this table does not know yet
