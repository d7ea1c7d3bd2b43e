"""`parkplan estimate`: what a plant of an industry draws, from what it makes in a year."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, err, out, print_json

FIELDS = {
    "land_m2": ("用地 land", "m²"),
    "power_kva": ("报装容量 power", "kVA"),
    "water_m3d": ("用水 water", "m³/d"),
    "water_peak_m3d": ("高峰月用水 water, peak month", "m³/d"),
    "freight_td": ("货运 freight", "t/d"),
    "effluent_m3d": ("废水 effluent", "m³/d"),
    "solid_waste_td": ("固废 solid waste", "t/d"),
}


def estimate(
    industry: Annotated[str, typer.Option(help="GB/T 4754-2017 code, for example C3140 (行业代码)")],
    output: Annotated[float, typer.Option(help="What the plant makes in a year (年产量)")],
    unit: Annotated[str, typer.Option(help="t, 万吨, m3, m2, 万块, 头 ...")] = "t",
    product: Annotated[str | None, typer.Option(help="Which product, where the class holds several (产品)")] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate land, power, water, freight, effluent and waste of a plant (按行业估算), each figure with its source."""
    from gis.check import rulebook
    from gis.estimate import demands_of
    from gis.estimate import estimate as estimate_
    from gis.needs import measure_needs
    from layers.records import AnnualOutput, Industry, Project

    book = rulebook()
    made = AnnualOutput(amount=output, unit=unit, product=product)
    project = Project(id="estimate", name=None, industry=Industry(code=industry), annual_output=made)
    measure_needs([project], book)  # names an unknown code or unit
    table = demands_of(book)
    assert table is not None
    known = table.products(Industry(code=industry).digits)
    names = [one.replace("|", "、") for one in known]
    note = ""
    if table.product(project) is None and product is None and len(known) == 1:
        note = f"figures of {names[0]}; other products share the code, so a project has to name its own"
        made = made.model_copy(update={"product": known[0].partition("|")[0]})
        project = project.model_copy(update={"annual_output": made})
    found = estimate_(project, book).estimates
    if not found:
        fix = f"Use --product with one of: {'; '.join(names)}, and its unit" if names else "Ask the investor"
        raise BadInput("nothing can be estimated", [Fault(f"no figures fit {industry} in {unit}", fix)])
    if as_json:
        print_json(
            {
                "industry": industry,
                "annual_output": made.model_dump(exclude_none=True),
                "note": note,
                "estimates": [asdict(one) for one in found],
            }
        )
        return
    rows = Table()
    for title in ("项目 demand", "low", "typical", "high", "单位 unit", "可信度 confidence"):
        rows.add_column(title, justify="right" if title in ("low", "typical", "high") else "left")
    for one in found:
        name, shown = FIELDS[one.field]
        ends = (f"{end:,.0f}" if end >= 10 else f"{end:,.2g}" for end in (one.low, one.value, one.high))
        rows.add_row(name, *ends, shown, one.confidence)
    out.print(rows)
    for one in found:
        out.print(f"{one.field} = {one.basis}", highlight=False, markup=False, soft_wrap=True)
        out.print(f"  来源 source: {one.source}", highlight=False, markup=False, soft_wrap=True)
    if note:
        err.print(note, highlight=False, soft_wrap=True)
