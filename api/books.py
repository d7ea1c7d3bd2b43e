"""The books on the wire: accounts with their balances, the entries that may be made, the journal, the yearly report."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, model_validator

from api.parcels import DocumentIn
from api.scope import seen
from layers.access import Access
from layers.errors import BadInput, Busy, Fault, UnknownName
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import Key, Ledger
from layers.ledger.records import (
    ACCOUNT_EVENTS,
    BUCKETS,
    EVENTS,
    KIND_NAMES,
    NESTED,
    Account,
    Balance,
    Entry,
    Paper,
    account,
)
from layers.ledger.verify import Verified
from layers.ledger.writer import ANSWER_S, LATE
from layers.records import Areas, Strict

NO_PROMISE = {
    "zh": "本预留仅为内部统筹，不构成供地承诺。",
    "en": "This hold is for internal coordination and is no promise to supply land.",
}
SQL_MAX = 2**53  # beyond it JSON readers lose digits
Amount = Annotated[StrictInt, Field(ge=0, le=SQL_MAX)]
Unit = Annotated[str, Field(pattern=r"^[^/@\s]{1,60}$", examples=["520625"])]
Year = Annotated[int, Field(ge=2000, le=2100)]
IN_ENGLISH = {zh: event for event, (zh, _) in EVENTS.items()}


def _event(said: Any) -> Any:
    """An event by its English name or its Chinese word."""
    return IN_ENGLISH.get(said, said) if isinstance(said, str) else said


def event_of(names: Iterable[str]) -> Any:
    pattern = f"^({'|'.join(names)})$"
    return Annotated[str, BeforeValidator(_event), Field(pattern=pattern, description="English name or Chinese word")]


class AreasIn(Strict):
    """Whole square metres as one tuple: 新增建设用地 >= 农用地 >= 耕地 >= 水田."""

    new_construction_m2: Amount
    agricultural_m2: Amount = 0
    cultivated_m2: Amount = 0
    paddy_m2: Amount = 0

    def areas(self) -> Areas:
        return Areas(self.new_construction_m2, self.agricultural_m2, self.cultivated_m2, self.paddy_m2)

    def named(self) -> frozenset[str]:
        return frozenset(name.removesuffix("_m2") for name in self.model_fields_set)


class EntryIn(Strict):
    """An entry of an account: 下达 grant, 分解 allot, 调剂 trade, 结转 carry_over, 预支 advance, 预支清偿 settle,
    收回 recall, 冲正 reverse.

    The kinds that nest take `areas`, the others `amount` in the unit of the account. `to` is the unit that gets it,
    `to_year` the year it is carried into, `reversal_of` the entry that is undone.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event": "grant",
                    "areas": {"new_construction_m2": 200000, "agricultural_m2": 150000, "cultivated_m2": 60000},
                    "document": {"number": "黔自然资〔2026〕8号", "date": "2026-03-01"},
                }
            ]
        },
        extra="forbid",
        frozen=True,
    )

    event: event_of(ACCOUNT_EVENTS)  # type: ignore[valid-type]
    areas: AreasIn | None = None
    amount: Amount | None = None
    to: Unit | None = None
    to_year: Year | None = None
    reversal_of: Annotated[int, Field(ge=1, le=SQL_MAX)] | None = None
    document: DocumentIn

    @model_validator(mode="after")
    def _one_of(self) -> EntryIn:
        if self.event == "reverse":
            if self.reversal_of is None or self.areas is not None or self.amount is not None:
                raise ValueError("a reversal names reversal_of, and no amount: all of the entry is undone")
        elif (self.areas is None) == (self.amount is None) or self.reversal_of is not None:
            raise ValueError("give either areas or amount")
        return self


def key_of(actor: str, key: str, path: str, asked: BaseModel) -> Key:
    """An idempotency key with what it stands for: the request as it was understood."""
    body = asked.model_dump(mode="json")
    if not body.get("linked"):  # keys from before there was linked quota still stand for what they did
        body.pop("linked", None)
    said = json.dumps([path, body], ensure_ascii=False, sort_keys=True)
    return Key(actor, key, hashlib.sha256(said.encode()).hexdigest())


def paper(said: DocumentIn | None) -> Paper | None:
    return None if said is None else Paper(said.number, said.date)


@dataclass(frozen=True)
class Ready:
    """A request of the books that needs nothing more than its turn to be written: the work, its key, and what the audit
    log says of it (action, subject, outcome) once it is answered."""

    work: Callable[[acts.Page], str]
    key: Key | None
    record: Callable[[str], tuple[str, str, str]]


async def written(ledger: Ledger, ready: Ready, access: Access, by: str) -> str:
    """The answer, once it is durable and on record. No thread is kept waiting for it, so that as many as ask share one
    COMMIT.

    Busy where it takes too long: it may have been done, and the key tells."""
    context = copy_context()  # says whose request it is

    def heard(text: str) -> None:
        context.run(access.record, by, *ready.record(text))

    try:
        return await asyncio.wait_for(asyncio.wrap_future(ledger.begin(ready.work, ready.key, heard)), ANSWER_S)
    except TimeoutError as error:
        raise Busy(LATE) from error


def enter(name: str, asked: EntryIn, by: str, key: str | None = None) -> Ready:
    """An entry of an account; its answer has the balances that it changed."""
    here = account(name)
    document = Paper(asked.document.number, asked.document.date)

    def work(page: acts.Page) -> str:
        if asked.reversal_of is not None:
            was = page.entry(asked.reversal_of)
            if all(one.account != name for one in was.draft.postings):
                fix = "GET /ledger/entries?account= lists those that do"
                fault = Fault(f"entry {asked.reversal_of} has no posting in {name}", fix, field="reversal_of")
                raise BadInput("another account's entry", [fault])
            entry = acts.reverse(page, asked.reversal_of, document, by, asked.document.note)
        else:
            entry = acts.order(page, acts.Order(_change(here, asked), document, by, asked.document.note))
        touched = dict.fromkeys(one.account for one in entry.draft.postings)
        balances = [balance(found) for one in touched if (found := page.balance(one)) is not None]
        return json.dumps({"entry": told(entry), "balances": balances}, ensure_ascii=False)

    once = key_of(by, key, f"/quotas/{name}/entries", asked) if key is not None else None
    return Ready(work, once, lambda _: (f"quota-{asked.event}", name, asked.document.number))


def _change(here: Account, asked: EntryIn) -> Change:
    amount: Areas | int = asked.areas.areas() if asked.areas is not None else int(asked.amount or 0)
    named = asked.areas.named() if asked.areas is not None else frozenset[str]()
    return Change(asked.event, here, amount, asked.to, asked.to_year, named)


# --- what is told -------------------------------------------------------------------------------------


def balance(one: Balance) -> dict[str, Any]:
    """A balance by the names of the contract, in the unit of its account."""
    said = account(one.account)
    zh, en = KIND_NAMES[said.kind]
    return {
        "account": one.account,
        "kind": said.kind,
        "zh": zh,
        "en": en,
        "unit_code": said.holder if said.is_quota else None,
        "facility": None if said.is_quota else said.holder,
        "year": said.year,
        "for_year": said.for_year,
        "unit": said.unit,
        **dict(zip(BUCKETS, one.row(), strict=True)),
    }


def everything(_: object) -> bool:
    """What somebody sees who sees all."""
    return True


def balances(
    ledger: Ledger,
    *,
    sees: Callable[[str], bool] = everything,
    unit_code: str | None = None,
    year: int | None = None,
    kind: str | None = None,
    as_of: date | None = None,
) -> dict[str, Any]:
    """Accounts with their balances now, or by the end of a day; those of a unit, an origin year, a kind."""
    until = None if as_of is None else ledger.seq_at(as_of)
    found = [balance(one) for one in ledger.balances(unit_code, until) if sees(one.account)]
    kept = [one for one in found if year in (None, one["year"]) and kind in (None, one["kind"])]
    return {"accounts": kept, "seq": ledger.last() if until is None else until}


def one_balance(
    ledger: Ledger, name: str, as_of: date | None = None, *, sees: Callable[[str], bool] = everything
) -> dict[str, Any]:
    until = None if as_of is None else ledger.seq_at(as_of)
    found = next((one for one in ledger.balances(account(name).holder, until) if one.account == name), None)
    if found is None or not sees(name):
        raise UnknownName(f"there is no account {name}", account=name)
    return balance(found)


def told(entry: Entry) -> dict[str, Any]:
    draft = entry.draft
    zh, en = EVENTS[draft.event]
    return {
        "seq": entry.seq,
        "at": entry.at,
        "event": draft.event,
        "zh": zh,
        "en": en,
        "actor": draft.actor,
        "document": None
        if draft.document is None
        else {"number": draft.document.number, "date": draft.document.date.isoformat()},
        "note": draft.note,
        "project": draft.project,
        "batch": draft.batch,
        "reservation": draft.reservation,
        "parcels": list(draft.parcels),
        "ground_digest": draft.ground,
        "reversal_of": draft.reverses,
        "postings": [asdict(one) | {"unit": account(one.account).unit} for one in draft.postings],
        "detail": dict(draft.detail),
        "previous": entry.previous,
        "hash": entry.hash,
    }


def entries(
    ledger: Ledger, of: str | None, after: int, limit: int, *, sees: Callable[[Entry], bool] = everything
) -> dict[str, Any]:
    if of is not None:
        account(of)
    page, more = seen(lambda start, most: ledger.entries(of, start, most), after, limit, lambda one: one.seq, sees)
    return {"entries": [told(one) for one in page], "next": page[-1].seq if more else None}


def verified(found: Verified) -> dict[str, Any]:
    return {"whole": found.whole, **asdict(found)}


# --- the report ---------------------------------------------------------------------------------------

REPORT = {  # column -> Chinese, English
    "granted": ("下达", "Granted"),
    "transferred_in": ("转入", "Transferred in"),
    "carried_in": ("结转转入", "Carried in"),
    "advanced": ("预支", "Advanced"),
    "transferred_out": ("转出（分解、调剂、结转）", "Transferred out"),
    "recalled": ("收回", "Recalled"),
    "reserved": ("预留", "Reserved"),
    "locked": ("冻结", "Locked"),
    "spent": ("已用（核销）", "Spent"),
    "spent_batch": ("其中：批次", "of which batches"),
    "spent_project": ("其中：单独选址", "of which single projects"),
    "available": ("结余", "Left"),
}


def report(ledger: Ledger, year: int | None = None, *, sees: Callable[[str], bool] = everything) -> dict[str, Any]:
    """Quota by origin year, unit (county, town or zone) and kind, with what batches and single projects used of it."""
    used = _used(ledger)
    rows = []
    for one in ledger.balances():
        said = account(one.account)
        if not said.is_quota or year not in (None, said.year) or not sees(one.account):
            continue
        row = balance(one)
        by = used.get(one.account, {})
        row |= {"spent_batch": by.get("batch", 0), "spent_project": by.get("project", 0)}
        rows.append(row)
    order = {kind: place for place, kind in enumerate(KIND_NAMES)}
    rows.sort(key=lambda row: (row["year"], row["for_year"], row["unit_code"], order[row["kind"]]))
    return {"columns": {name: {"zh": zh, "en": en} for name, (zh, en) in REPORT.items()}, "rows": rows}


def _used(ledger: Ledger) -> Mapping[str, dict[str, int]]:
    """Account -> what batches and single projects have spent of it."""
    found: dict[str, dict[str, int]] = {}
    for one in ledger.reservations(("approved", "supplied", "commissioned", "released")):
        for charge in one.charges:
            if account(charge.account).kind in (*NESTED, "balance_area", "balance_paddy", "linked", "energy_tce"):
                by = found.setdefault(charge.account, {})
                whose = "project" if one.batch is None else "batch"
                by[whose] = by.get(whose, 0) + charge.amount
    return found
