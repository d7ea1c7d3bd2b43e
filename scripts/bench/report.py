"""Printing a check, beside the check itself and beside typst with nothing to print.

    python -m scripts.bench.report demo/county.gpkg [--parcel ID] [--sheets 200]

The baseline is an empty page by the same typst with the same fonts in the same process: what is ours lies above it.
Ratios count; seconds depend on the machine. Memory is of a process of its own that prints one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import typst

from api.answers import answer, asked_columns
from api.reports import docx, fonts, html, of_check, of_parcels, pdf
from gis.check import check, rulebook
from layers.gpkg import GeoPackage
from layers.records import Industry, Part, Project, Site

TEA = Project(id="bench", name="bench", land_m2=8_000, industry=Industry(code="1530"), power_kva=400)
EMPTY = b'#set page(paper: "a4")\n#set text(font: "FONT")\n\xe7\xa9\xba'


def timed(what: Callable[[], Any], runs: int) -> float:
    """Median seconds of some runs, one before them not counted."""
    what()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        what()
        taken.append(time.perf_counter() - start)
    return median(taken)


def answered(store: GeoPackage, parcel: str) -> dict[str, Any]:
    book = rulebook().confirmed(store.list("confirmation"))
    ground = store.ground("parcels", [parcel])[parcel]
    checked = check([ground], TEA, book, store.at(), extra=asked_columns(book))
    return answer(checked, 0, 0, Site.of(Part(ground, parcel)))


def memory_mb(field: str) -> float:
    """A figure of this process as Linux keeps it; mapped layers count, too."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def first(county: Path, parcel: str, told: Any) -> None:
    """In a process of its own: the most memory its first PDF takes beyond what the check had, and its seconds."""
    store = GeoPackage(county)
    found = answered(store, parcel)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the high-water mark begins here
    before, start = memory_mb("VmRSS"), time.perf_counter()
    pdf.write(of_check.report(found, store))
    told.put((memory_mb("VmHWM") - before, time.perf_counter() - start))


def alone(county: Path, parcel: str) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=first, args=(county, parcel, told))
    process.start()
    found: tuple[float, float] = told.get()
    process.join()
    return found


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("county", type=Path)
    say.add_argument("--parcel")
    say.add_argument("--sheets", type=int, default=200)
    say.add_argument("--runs", type=int, default=7)
    said = say.parse_args()
    store = GeoPackage(said.county)
    ids = store.frame("parcels")["id"].astype(str)
    parcel = said.parcel or ids.iloc[0]
    known = fonts.found()
    plain = typst.Compiler(font_paths=known.fonts, ignore_system_fonts=True)
    page = EMPTY.replace(b"FONT", known.sans.encode())
    empty_s = timed(lambda: plain.compile(page, sys_inputs={"n": str(time.perf_counter_ns())}), said.runs)
    check_s = timed(lambda: answered(store, parcel), said.runs)
    found = answered(store, parcel)
    # each run prints another check, so that nothing typst remembers of the last one helps it
    counts = iter(range(10_000))

    def anew() -> dict[str, Any]:
        return {**found, "project": {**found["project"], "name": f"bench {next(counts)}"}}

    print(f"empty page by typst {empty_s * 1e3:8.1f} ms")
    print(f"check               {check_s * 1e3:8.1f} ms")
    for name, what in (
        ("report, no dress", lambda: of_check.report(anew(), store)),
        ("PDF", lambda: pdf.write(of_check.report(anew(), store))),
        ("HTML", lambda: html.write(of_check.report(anew(), store))),
        ("Word", lambda: docx.write(of_check.report(anew(), store))),
    ):
        taken = timed(what, said.runs)
        print(f"{name:<20}{taken * 1e3:8.1f} ms  {taken / check_s:6.1f} checks  {taken / empty_s:6.1f} empty pages")
    some = list(ids.iloc[: said.sheets])
    start = time.perf_counter()
    made = pdf.write(of_parcels.sheets(store, some, drawn_on=date(2026, 1, 1), points=False))
    taken = time.perf_counter() - start
    print(f"{len(some)} map sheets {taken:8.2f} s, {taken / len(some) * 1e3:.1f} ms each, {len(made) / 1e6:.1f} MB")
    more_mb, first_s = alone(said.county, parcel)
    print(f"first PDF of a process {first_s:.2f} s, at most {more_mb:.0f} MB beyond what the check held")
    store.close()


if __name__ == "__main__":
    main()
