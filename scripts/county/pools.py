"""What projects share: land quota by year, and what each facility still has to give."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd

from scripts.county.places import COUNTY, draws

YEARS = (2025, 2026, 2027, 2028)
KINDS = ("new_construction", "agricultural", "cultivated")
FIRM = {True: 0.65, False: 0.9}  # share of capacity that may be promised: two transformers (N-1), one
ROAD_TD = {
    "expressway": 30_000,
    "national": 12_000,
    "provincial": 9_000,
    "county": 4_000,
    "township": 1_800,
    "village": 350,
}


def pools(seed: int, layers: dict[str, gpd.GeoDataFrame]) -> pd.DataFrame:
    """Accounts with their balances: quota in m2, capacity in the unit its account names."""
    rows = [*_quota(), *_power(layers["substations"])]
    for role, unit, source in (
        ("water_sources", "water_m3d", "供水能力减现状用水(假设)"),
        ("wastewater_plants", "effluent_m3d", "处理能力减现状水量(假设)"),
    ):
        for row in layers[role].itertuples():
            balance = round(row.capacity_m3d - row.load_m3d)
            rows.append((f"capacity/{row.id}/{unit}", "m3d", balance, source, "assumption", _opens(row.open_year)))
    rows.extend(_freight(seed, layers["roads"]))
    return pd.DataFrame(rows, columns=["account", "unit", "balance", "source", "confidence", "note"]).astype(
        {"balance": float}
    )


def _quota() -> list[tuple[str, str, float, str, str, str]]:
    """The county keeps 30 ha of 2026: plenty for small plants, too little for the magnesium works."""
    county = {
        2025: (60_000, 50_000, 20_000),
        2026: (300_000, 250_000, 110_000),
        2027: (280_000, 230_000, 100_000),
        2028: (260_000, 220_000, 90_000),
    }
    zones = {"520625-NE": 1.2, "520625-FOOD": 0.35, "520625-BM": 0.6}
    rows = []
    for unit, share in {COUNTY: 1.0, **zones}.items():
        for year in YEARS:
            for kind, balance in zip(KINDS, county[year], strict=True):
                amount = round(balance * (1.0 if unit == COUNTY else share * 0.5), -2)
                note = "预计下达" if year > 2026 else "结转" if year == 2025 else "年度下达"
                rows.append((f"quota/{unit}/{year}/{kind}", "m2", amount, "示例指标文件(合成)", "assumption", note))
    return rows


def _power(stations: gpd.GeoDataFrame) -> list[tuple[str, str, float, str, str, str]]:
    rows = []
    for row in stations.itertuples():
        firm = row.capacity_kva * FIRM[row.voltage_kv >= 110 or row.capacity_kva >= 16_000]
        balance = float(round(firm - row.load_kva))
        rows.append(
            (
                f"capacity/{row.id}/power_kva",
                "kva",
                balance,
                "N-1可靠容量减现状负荷(假设)",
                "assumption",
                _opens(row.open_year),
            )
        )
    return rows


def _freight(seed: int, roads: gpd.GeoDataFrame) -> list[tuple[str, str, float, str, str, str]]:
    spare = 0.7 + 0.5 * draws(seed, "freight").random(len(roads))
    return [
        (
            f"capacity/{row.id}/freight_td",
            "td",
            float(round(ROAD_TD[row.road_class] * s)),
            "按公路等级估算(假设)",
            "assumption",
            _opens(row.open_year),
        )
        for row, s in zip(roads.itertuples(), spare, strict=True)
    ]


def _opens(year: Any) -> str:
    return "" if pd.isna(year) else f"{year}年投运"
