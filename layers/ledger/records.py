"""What the books are made of: accounts, postings, entries, balances and reservations. Integers throughout.

An account is `quota/<unit>/<origin year>/<kind>` or `capacity/<facility>/<kind>`. What was carried over keeps its
origin year and says the year it may be used in: `quota/520625/2025/new_construction@2026`. A posting moves an amount
from one bucket of an account to another:

    granted, transferred_in, carried_in, advanced ──> available, reserved, locked, spent ──> transferred_out, recalled

so that what came in less what went out is what is held, after every entry and in every account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from layers.errors import BadInput, Fault
from layers.records import Areas, Claim

Bucket = Literal[
    "granted", "transferred_in", "carried_in", "advanced", "transferred_out", "recalled",
    "available", "reserved", "locked", "spent",
]  # fmt: skip
SOURCES: tuple[Bucket, ...] = ("granted", "transferred_in", "carried_in", "advanced")
SINKS: tuple[Bucket, ...] = ("transferred_out", "recalled")
HOLDINGS: tuple[Bucket, ...] = ("available", "reserved", "locked", "spent")
BUCKETS: tuple[Bucket, ...] = (*SOURCES, *SINKS, *HOLDINGS)

NESTED = ("new_construction", "agricultural", "cultivated", "paddy")  # one tuple; each holds the next
QUOTA_UNITS = {
    **dict.fromkeys(NESTED, "m2"),
    "balance_area": "m2",
    "balance_paddy": "m2",
    "balance_yield": "kg",
    "linked": "m2",
    "energy_tce": "tce",
}
CAPACITY_UNITS = {"power_kva": "kva", "water_m3d": "m3d", "effluent_m3d": "m3d", "freight_td": "td"}
KIND_NAMES = {
    "new_construction": ("新增建设用地计划指标", "New construction land"),
    "agricultural": ("其中：农用地", "of which agricultural"),
    "cultivated": ("其中：耕地", "of which cultivated"),
    "paddy": ("其中：水田（另计）", "of which paddy, apart"),
    "balance_area": ("补充耕地数量指标", "Replacement farmland, area"),
    "balance_paddy": ("补充水田指标", "Replacement farmland, paddy"),
    "balance_yield": ("补充粮食产能指标", "Replacement farmland, yield"),
    "linked": ("增减挂钩节余指标", "Linked increase and decrease"),
    "energy_tce": ("能耗指标", "Energy"),
    "power_kva": ("供电容量", "Power"),
    "water_m3d": ("供水能力", "Water"),
    "effluent_m3d": ("污水处理能力", "Effluent"),
    "freight_td": ("货运能力", "Freight"),
}
# Plan quota is used in its year, or carried over with consent for at most three (土地利用年度计划管理办法 2016, from
# memory); the others are used until they are used up.
CARRY_YEARS = 3
YEARLY = (*NESTED, "energy_tce")

ACCOUNT_EVENTS = {
    "grant": ("下达", "granted from above"),
    "allot": ("分解", "shared out to another unit"),
    "trade": ("调剂", "traded to another unit"),
    "carry_over": ("结转", "carried over to a later year"),
    "advance": ("预支", "advanced before the plan arrives"),
    "settle": ("预支清偿", "an advance made good by the plan"),
    "recall": ("收回", "recalled from above"),
    "reverse": ("冲正", "an earlier entry undone"),
}
EVENTS = {
    **ACCOUNT_EVENTS,
    "intend": ("意向", "an intention, which holds nothing"),
    "reserve": ("预留", "reserved"),
    "apply": ("申请", "applied for"),
    "return": ("补正", "returned to be completed"),
    "approve": ("核销", "approved and written off"),
    "reject": ("退回", "rejected"),
    "withdraw": ("撤回申请", "application withdrawn"),
    "release": ("释放", "released"),
    "extend": ("展期", "extended"),
    "expire": ("过期", "expired"),
    "revoke": ("撤回批文", "approval revoked"),
    "supply": ("供应", "supplied"),
    "progress": ("动工进度", "progress of building"),
    "commission": ("投产", "commissioned"),
}
QUOTA = re.compile(r"quota/([^/@\s]{1,60})/(\d{4})/([a-z_]+)(?:@(\d{4}))?")
CAPACITY = re.compile(r"capacity/([^/@\s]{1,100})/([a-z_0-9]+)")


@dataclass(frozen=True, slots=True)
class Account:
    """What an account's name says. `holder` is a unit's code or a facility's id; `for_year` when it may be used."""

    name: str
    kind: str
    holder: str
    unit: str
    year: int | None = None
    for_year: int | None = None

    @property
    def is_quota(self) -> bool:
        return self.year is not None

    def sibling(self, kind: str) -> Account:
        """The account of another kind beside this one."""
        return account(quota_name(self.holder, self.year or 0, kind, self.for_year))


def quota_name(holder: str, year: int, kind: str, for_year: int | None = None) -> str:
    """
    >>> quota_name("520625", 2025, "cultivated", 2026)
    'quota/520625/2025/cultivated@2026'
    """
    carried = "" if for_year in (None, year) else f"@{for_year}"
    return f"quota/{holder}/{year}/{kind}{carried}"


@lru_cache(maxsize=65_536)
def account(name: str) -> Account:
    """An account by its name; BadInput where it is none.

    >>> account("quota/520625/2025/new_construction@2026").for_year
    2026
    """
    if (found := QUOTA.fullmatch(name)) and found[3] in QUOTA_UNITS:
        year, for_year = int(found[2]), int(found[4] or found[2])
        if found[4] is None or for_year > year:
            return Account(name, found[3], found[1], QUOTA_UNITS[found[3]], year, for_year)
    if (found := CAPACITY.fullmatch(name)) and found[2] in CAPACITY_UNITS:
        return Account(name, found[2], found[1], CAPACITY_UNITS[found[2]])
    fix = f"quota/<unit>/<year>/<kind> with {', '.join(QUOTA_UNITS)}; capacity/<facility>/<{'|'.join(CAPACITY_UNITS)}>"
    raise BadInput(f"{name[:120]!r} is no account", [Fault("the name cannot be read", fix, field="account")])


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount that moves within one account, from the bucket `debit` to the bucket `credit`."""

    account: str
    debit: Bucket
    credit: Bucket
    amount: int


@dataclass(frozen=True, slots=True)
class Balance:
    """An account by its buckets. The first six tell what came and went, the last four what is held."""

    account: str
    granted: int = 0
    transferred_in: int = 0
    carried_in: int = 0
    advanced: int = 0
    transferred_out: int = 0
    recalled: int = 0
    available: int = 0
    reserved: int = 0
    locked: int = 0
    spent: int = 0

    @property
    def holds(self) -> bool:
        """The identity of the contract, and nothing below zero."""
        came = self.granted + self.transferred_in + self.carried_in + self.advanced
        went = self.transferred_out + self.recalled
        held = self.available + self.reserved + self.locked + self.spent
        return came - went == held and min(self.row()) >= 0

    def row(self) -> tuple[int, ...]:
        """The amounts in the order of BUCKETS."""
        return (
            self.granted, self.transferred_in, self.carried_in, self.advanced, self.transferred_out, self.recalled,
            self.available, self.reserved, self.locked, self.spent,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paper:
    """The document that an entry stands on."""

    number: str
    date: date


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it is written: everything but its number, its time and its place in the chain."""

    actor: str
    event: str
    postings: tuple[Posting, ...] = ()
    document: Paper | None = None
    note: str = ""
    project: str | None = None
    batch: str | None = None
    reservation: str | None = None
    parcels: tuple[str, ...] = ()
    ground: str | None = None  # sha256 of the ground's WKB
    reverses: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal; `previous` is the hash of the entry before it, `hash` covers that and all the rest."""

    seq: int
    at: str
    draft: Draft
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What a reservation holds of one account."""

    account: str
    amount: int


@dataclass(frozen=True)
class Reservation:
    """What the entries of one reservation come to. `version` is the number of the last of them.

    `charges` is what it holds of quota and capacity now; an ended one holds nothing.
    """

    id: str
    state: str
    version: int
    project: str | None
    batch: str | None
    for_year: int
    charge_to: str | None
    parcels: tuple[str, ...]
    ground: str
    area_m2: int
    created_by: str
    created_at: str
    claim: Claim
    charges: tuple[Charge, ...] = ()
    expires_at: str | None = None
    applied_by: str | None = None
    approved: Areas | None = None
    approved_at: str | None = None
    approval: Paper | None = None
    supplies: tuple[Mapping[str, Any], ...] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    commissioned_on: str | None = None
    plan: Mapping[str, Any] | None = None  # the joint plan that it was adopted from: id, phases, what it waits for
    pinned: Mapping[str, Any] | None = None  # rulebook, layers, books and facts that its claim was worked out from

    @property
    def supplied_m2(self) -> int:
        return sum(int(one["area_m2"]) for one in self.supplies)

    def with_(self, **changes: Any) -> Reservation:
        return replace(self, **changes)
