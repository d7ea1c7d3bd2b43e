"""`parkplan quota`, `verify` and `supply`: the books of a county from the command line."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from layers.errors import BadInput, Fault
from layers.ledger.records import ACCOUNT_EVENTS, HOLDINGS
from scripts.console import AsJson, County, err, out, print_json

LOOKS = ("show", "report", "journal")


def quota(
    county: County,
    action: Annotated[str, typer.Argument(help=f"{', '.join(LOOKS)}; or {', '.join(ACCOUNT_EVENTS)}")] = "show",
    account: Annotated[str | None, typer.Argument(help="For example quota/520625/2026/new_construction")] = None,
    unit: Annotated[str | None, typer.Option(help="Only accounts of this county, town, zone or facility")] = None,
    year: Annotated[int | None, typer.Option(help="Only accounts of this origin year")] = None,
    kind: Annotated[str | None, typer.Option(help="Only accounts of this kind")] = None,
    areas: Annotated[
        str | None, typer.Option(help="新增,农用地,耕地[,水田] in whole m²: one tuple, for example 20000,15000,6000")
    ] = None,
    amount: Annotated[int | None, typer.Option(help="For accounts that do not nest, in their unit")] = None,
    to: Annotated[str | None, typer.Option(help="The unit that gets it (allot, trade)")] = None,
    to_year: Annotated[int | None, typer.Option(help="The year it is carried into")] = None,
    reversal_of: Annotated[int | None, typer.Option(help="The entry that is undone")] = None,
    document: Annotated[str | None, typer.Option(help="Its number, for example 黔自然资〔2026〕8号")] = None,
    dated: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Of the document")] = None,
    note: Annotated[str, typer.Option(help="A remark")] = "",
    as_json: AsJson = False,
) -> None:
    """Quota and capacity (指标台账): show balances, the yearly report, the journal, or make an entry on a document.

    grant 下达, allot 分解, trade 调剂, carry_over 结转, advance 预支, settle 预支清偿, recall 收回, reverse 冲正.
    """
    from api import books
    from layers.store import open_store

    if action not in (*LOOKS, *ACCOUNT_EVENTS):
        raise typer.BadParameter(f"one of {', '.join((*LOOKS, *ACCOUNT_EVENTS))}", param_hint="ACTION")
    if action in ACCOUNT_EVENTS and (account is None or document is None or dated is None):
        raise typer.BadParameter(f"{action} needs ACCOUNT, --document and --date", param_hint="ACTION")
    store = open_store(county)
    try:
        if action in ACCOUNT_EVENTS:
            assert account is not None
            body: dict[str, Any] = {"event": action, "amount": amount, "to": to, "to_year": to_year}
            paper = {"number": document, "date": dated.date() if dated else None, "note": note}
            body |= {"areas": _areas(areas), "reversal_of": reversal_of, "document": paper}
            typer.echo(store.ledger.run(books.enter(account, books.EntryIn.model_validate(body), "operator").work))
            return
        if action == "journal":
            _journal(books.entries(store.ledger, account, 0, 100_000), as_json)
            return
        if action == "report":
            found = books.report(store.ledger, year)
        else:
            found = books.balances(store.ledger, unit_code=unit, year=year, kind=kind)
            if account is not None:
                found["accounts"] = [one for one in found["accounts"] if one["account"] == account]
    finally:
        store.close()
    if as_json:
        print_json(found)
    else:
        _balances(found.get("accounts") or found.get("rows") or [])


def _areas(said: str | None) -> dict[str, int] | None:
    if said is None:
        return None
    names = ("new_construction_m2", "agricultural_m2", "cultivated_m2", "paddy_m2")
    parts = said.split(",")
    try:
        return dict(zip(names[: len(parts)], (int(part) for part in parts), strict=True))
    except ValueError:
        fix = "Give one to four whole numbers, for example 20000,15000,6000"
        raise BadInput("the areas cannot be read", [Fault(repr(said[:60]), fix, field="--areas")]) from None


def _balances(rows: list[dict[str, Any]]) -> None:
    table = Table(title="台账 Accounts")
    table.add_column("账户 account", overflow="fold", min_width=16)
    table.add_column("单位", no_wrap=True)
    for head in ("额度\ntotal", "可用\navailable", "预留\nreserved", "冻结\nlocked", "核销\nspent"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        held = [row[bucket] for bucket in HOLDINGS]
        table.add_row(row["account"], row["unit"], *(f"{amount:,}" for amount in (sum(held), *held)))
    out.print(table)
    err.print(f"{len(rows)} accounts", highlight=False)


def _journal(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for one in found["entries"]:
        paper = one["document"]["number"] if one["document"] else ""
        whose = one["project"] or one["batch"] or ""
        line = f"{one['seq']:>7} {one['at'][:19]} {one['zh']} {one['event']} {one['actor']} {whose} {paper}"
        out.print(line, highlight=False, markup=False)
        for posting in one["postings"]:
            moved = f"{posting['debit']} → {posting['credit']} {posting['amount']:,} {posting['unit']}"
            out.print(f"        {posting['account']}: {moved}", highlight=False, markup=False)


def verify(
    county: County,
    again: Annotated[bool, typer.Option(help="Ask every stored check and reservation again on what it saw")] = True,
    as_json: AsJson = False,
) -> None:
    """Prove the books (chain, balances, transitions, ground) and what was decided (checks, reservations, plans).

    Exit 0 whole, 1 naming the first that does not hold.
    """
    from api import books, proof
    from layers.access import Access
    from layers.ledger.verify import verify as prove
    from layers.places import beside
    from layers.store import open_store

    store = open_store(county)
    log = beside(county)
    seen = None
    if log.with_suffix(".access").exists():
        access = Access(log)
        seen = access.witnessed()
        access.close()
    try:
        found = prove(store.ledger, seen)
        if found.whole:
            with Progress(console=err, disable=not err.is_terminal) as progress:
                task = progress.add_task("asking again")
                told = lambda done, all_: progress.update(task, completed=done, total=all_)  # noqa: E731
                decided = proof.prove(store, again=again, progress=told)
        else:
            decided = proof.Proven()
    finally:
        store.close()
    if as_json:
        print_json({**books.verified(found), "decisions": {"whole": decided.whole, **asdict(decided)}})
    elif found.whole:
        counts = f"{found.entries:,} entries, {found.accounts:,} accounts, {found.reservations:,} reservations"
        out.print(f"一致 whole: {counts}, {found.holds:,} holds on ground; head {found.head}", highlight=False)
        out.print(
            f"{decided.checks:,} checks ({decided.checks_again:,} asked again), {decided.reservations:,} times ground"
            f" was reserved ({decided.reservations_again:,} again), {decided.plans:,} plans,"
            f" {decided.rulebooks:,} rulebooks;"
            f" {decided.unpinned:,} that stand on their plan or are from before this was kept,"
            f" {len(decided.other_program):,} that this version of the program answers otherwise",
            highlight=False,
        )
    first = found if not found.whole else decided
    if not first.whole and not as_json:
        out.print(f"不一致 broken ({first.what}): {first.reason}", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(0 if first.whole else 1)


def supply(
    county: County,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day to count to; default: today")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is approved and not supplied (批而未供), and what was supplied and stands idle (闲置土地)."""
    from api.supply import listed
    from layers.store import open_store

    store = open_store(county)
    try:
        day: date = on.date() if on else store.ledger.clock().date()
        found = listed(store.ledger, day)
    finally:
        store.close()
    if as_json:
        print_json(found)
        return
    out.print(f"批而未供 approved, not supplied: {found['approved_unsupplied_m2']:,} m²", highlight=False)
    for one in found["approved_unsupplied"]:
        whose = one["project"] or one["batch"]
        said = f"  {whose} {one['document']} {one['approved_on']}: {one['unsupplied_m2']:,} m², {one['days']} 天"
        out.print(f"{said} {one['warning'] or ''}", highlight=False, markup=False)
    out.print(f"闲置 idle: {found['idle_m2']:,} m²", highlight=False)
    for one in found["supplied"]:
        said = f"  {one['contract']} {one['winner']} {one['mode_zh']} {one['area_m2']:,} m²: {one['zh']}"
        out.print(f"{said} {one['warning'] or ''}", highlight=False, markup=False)
