"""A dozen investments of the kind the county talks about, each demand worked out from its yearly output."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from layers.errors import BadInput
from layers.library import read

Json = dict[str, Any]
LIBRARY = Path(__file__).with_name("library.csv")
POWER_FACTOR = 0.92
DAYS = 330.0

# 倒排工期: the procedures of a plant and how many months before production each is due. An assumption.
PROCEDURES = (
    ("立项备案", 30),
    ("节能审查", 27),
    ("环境影响评价批复", 25),
    ("用地预审与选址意见书", 24),
    ("国有建设用地使用权出让", 19),
    ("建设工程规划许可", 16),
    ("施工许可", 14),
    ("竣工验收", 2),
    ("投产", 0),
)


def demands(
    output: float,
    *,
    kwh: float,
    hours: float = 7_920.0,
    water: float = 0.0,
    effluent: float = 0.0,
    freight: float = 0.0,
    waste: float = 0.0,
    days: float = DAYS,
    spare: float = 1.0,
) -> Json:
    """What a yearly output draws, from typical figures per unit of output.

    Parameters
    ----------
    output : units a year
    kwh, water, effluent, freight, waste : kWh, m3, m3, t, t per unit
    hours, days : of full load in a year
    spare : transformer capacity over the mean load

    >>> demands(30_000, kwh=6_900, water=3, freight=18)["power_kva"]
    28410.0
    """
    return {
        "power_kva": float(round(output * kwh / hours / POWER_FACTOR * spare, -1)),
        "water_m3d": float(round(output * water / days, 1)),
        "effluent_m3d": float(round(output * effluent / days, 1)),
        "freight_td": float(round(output * freight / days, 1)),
        "solid_waste_td": float(round(output * waste / days, 1)),
    }


def schedule(year: int, month: int, done: int = 0) -> list[Json]:
    """The procedures of a project counted back from the month of production; the first `done` of them are done,
    on time.

    >>> schedule(2028, 6, done=1)[0]
    {'procedure': '立项备案', 'planned_on': '2025-12-01', 'done_on': '2025-12-01', 'document': '示例〔2025〕1号'}
    """
    made: list[Json] = []
    for number, (procedure, months) in enumerate(PROCEDURES, 1):
        due_year, before = divmod(year * 12 + month - 1 - months, 12)
        due = date(due_year, before + 1, 1)
        one: Json = {"procedure": procedure, "planned_on": due.isoformat()}
        if number <= done:
            one |= {"done_on": due.isoformat(), "document": f"示例〔{due_year}〕{number}号"}
        made.append(one)
    return made


def projects() -> list[Json]:
    """The example projects; figures are typical values, not anyone's plan.

    The plain ones are rows of `library.csv`, in the form that `parkplan projects import` reads; several say their
    yearly output only, from which land and demands are estimated.
    """
    plain, faults = read(LIBRARY)
    if faults:
        raise BadInput("library.csv of the demo county does not read", faults)
    return [
        *_written_out(),
        *(
            one.model_dump(mode="json", exclude_unset=True)
            | {"industry": one.model_dump(include={"industry"})["industry"]}
            for one in plain
        ),
    ]


def _written_out() -> list[Json]:
    """Projects of several parts, phases or procedures."""
    return [
        _project(
            "PRJ-V2O5",
            "年产1000吨五氧化二钒(示例)",
            "2613",
            "引进",
            70_000,
            24_000,
            32_000,
            900,
            180,
            0.55,
            demands(1_000, kwh=12_000, water=50, effluent=6, freight=300, waste=140),
            annual_output={"amount": 1_000.0, "unit": "t", "product": "五氧化二钒"},
            hazardous=True,
            odour=True,
            noise=True,
            zone="520625-NE",
            preparation="可研",
            milestones=schedule(2029, 6),
            components=[
                _component(
                    "尾渣堆场",
                    "7723",
                    90_000,
                    5_000,
                    power_kva=200.0,
                    water_m3d=20.0,
                    effluent_m3d=0.0,
                    freight_td=424.0,
                )
            ],
        ),
        _project(
            "PRJ-EMM",
            "年产3万吨电解金属锰扩建(示例)",
            "3140",
            "新建",
            300_000,
            90_000,
            45_000,
            3_000,
            1_050,
            0.6,
            demands(30_000, kwh=6_900, water=3, effluent=0.5, freight=18, waste=7),
            annual_output={"amount": 30_000.0, "unit": "t", "product": "电解金属锰"},
            nature="扩建",
            dust=True,
            noise=True,
            dual_supply=True,
            zone="520625-NE",
            preparation="初步设计",
            existing_site="示例电解锰厂",
            milestones=schedule(2028, 10, done=3),
            components=[
                _component(
                    "锰渣库",
                    "7723",
                    120_000,
                    3_000,
                    power_kva=150.0,
                    water_m3d=30.0,
                    effluent_m3d=0.0,
                    freight_td=636.0,
                )
            ],
            phases=[
                _phase(2026, 2028, 180_000, power_kva=17_000.0),
                _phase(2028, 2030, 120_000, power_kva=11_410.0),
            ],
        ),
        _project(
            "PRJ-CEMENT",
            "日产2500吨熟料新型干法水泥(示例)",
            "3011",
            "储备",
            200_000,
            80_000,
            45_000,
            4_200,
            320,
            0.45,
            demands(1_000_000, kwh=88, hours=6_500, water=0.4, effluent=0.02, freight=2.0, waste=0.01),
            dust=True,
            noise=True,
            dual_supply=True,
            zone="520625-BM",
            preparation="谋划",
            gates={"capacity_replacement": None},
        ),
        _project(
            "PRJ-BAGS",
            "年产5000吨塑料编织包装袋(示例)",
            "2923",
            "引进",
            13_000,
            4_200,
            6_000,
            260,
            95,
            1.0,
            demands(5_000, kwh=800, hours=6_000, water=1.5, effluent=0.6, freight=2.1, spare=1.3),
            dust=False,
            odour=False,
            noise=False,
            hazardous=False,
            zone="520625-BM",
            preparation="可研",
            milestones=schedule(2028, 9, done=1),
            footprint={"length_m": 90.0, "width_m": 60.0},
        ),
        _project(
            "PRJ-BRICK",
            "年产6000万块多孔节能砖及彩钢瓦(示例)",
            "3031",
            "新建",
            55_000,
            9_800,
            12_000,
            560,
            140,
            0.6,
            demands(6_000, kwh=300, hours=6_600, water=3, effluent=0.1, freight=52, spare=1.2),
            dust=True,
            noise=True,
            zone="520625-BM",
            preparation="已批准",
            milestones=schedule(2028, 6, done=4),
            phases=[_phase(2026, 2028, 40_000, power_kva=1_900.0), _phase(2027, 2029, 15_000)],
            components=[
                _component(
                    "彩钢瓦车间",
                    "3311",
                    12_000,
                    1_500,
                    **demands(10_000, kwh=15, hours=4_000, water=0.05, effluent=0.04, freight=2.1, spare=1.4),
                )
            ],
        ),
        _project(
            "PRJ-GCC",
            "年产10万吨重钙粉及型材(示例)",
            "3099",
            "引进",
            25_000,
            7_500,
            9_000,
            420,
            75,
            0.7,
            demands(100_000, kwh=60, hours=6_000, water=0.05, effluent=0.02, freight=2.1, spare=1.2),
            dust=True,
            noise=True,
            zone="520625-BM",
            preparation="项目建议书",
            milestones=schedule(2029, 3),
            components=[
                _component(
                    "型材车间",
                    "2922",
                    25_000,
                    2_000,
                    **demands(10_000, kwh=600, hours=6_000, water=1.5, effluent=0.5, freight=2.1, spare=1.2),
                )
            ],
        ),
        _project(
            "PRJ-CONCRETE",
            "年产30万立方米商品混凝土(示例)",
            "3021",
            "实施",
            15_000,
            5_000,
            11_000,
            360,
            60,
            0.5,
            demands(300_000, kwh=3.5, hours=2_000, water=0.2, effluent=0.0, freight=4.8, spare=1.5),
            dust=True,
            noise=True,
            zone="520625-BM",
            preparation="已批准",
            milestones=schedule(2027, 6, done=7),
        ),
        _project(
            "PRJ-MEAT",
            "年屠宰加工15万头生猪(示例)",
            "1351",
            "引进",
            26_000,
            9_000,
            18_000,
            350,
            160,
            0.9,
            demands(150_000, kwh=10, hours=4_000, water=0.45, effluent=0.4, freight=0.2, spare=1.6),
            dust=False,
            odour=True,
            noise=False,
            zone="520625-FOOD",
            preparation="可研",
            milestones=schedule(2028, 12, done=1),
            gates={"slaughter_permit": None},
        ),
        _project(
            "PRJ-BOARD",
            "年产100万平方米微晶石木纳米板(示例)",
            "3039",
            "引进",
            35_000,
            12_000,
            15_000,
            640,
            150,
            0.8,
            demands(18_000, kwh=450, hours=6_000, water=0.8, effluent=0.3, freight=2.1, spare=1.2),
            dust=True,
            noise=True,
            zone="520625-BM",
            preparation="项目建议书",
            milestones=schedule(2029, 6),
        ),
        _project(
            "PRJ-MG",
            "年产5万吨金属镁(示例)",
            "3217",
            "储备",
            600_000,
            190_000,
            90_000,
            6_700,
            1_000,
            0.6,
            demands(50_000, kwh=1_200, water=10, effluent=1.0, freight=24, waste=5.5),
            dust=True,
            noise=True,
            zone="520625-NE",
            preparation="谋划",
        ),
        _project(
            "PRJ-SI",
            "年产2.5万吨工业硅(示例)",
            "3218",
            "储备",
            250_000,
            60_000,
            38_000,
            2_600,
            420,
            0.6,
            demands(25_000, kwh=12_000, water=5, effluent=0.3, freight=7, waste=0.3),
            dust=True,
            noise=True,
            dual_supply=True,
            zone="520625-NE",
            preparation="谋划",
        ),
        _project(
            "PRJ-TEA",
            "年产800吨精制茶(示例)",
            "1530",
            "新建",
            12_000,
            3_600,
            5_200,
            210,
            80,
            1.1,
            demands(800, kwh=800, hours=2_400, water=1, effluent=0.6, freight=5.3, days=200, spare=1.3),
            dust=False,
            odour=False,
            noise=False,
            hazardous=False,
            zone="520625-FOOD",
            preparation="初步设计",
            milestones=schedule(2027, 12, done=4),
            footprint={"length_m": 70.0, "width_m": 50.0},
        ),
        _project(
            "PRJ-STARCH",
            "年产5000吨红薯淀粉(示例)",
            "1391",
            "储备",
            18_000,
            4_000,
            4_500,
            160,
            70,
            0.9,
            {
                **demands(5_000, kwh=200, hours=1_800, water=14, effluent=13, freight=7.5, days=75, waste=3, spare=1.3),
                "water_peak_m3d": 1_120.0,
            },
            dust=False,
            odour=True,
            zone="520625-FOOD",
            preparation="项目建议书",
        ),
    ]


def _project(
    key: str,
    name: str,
    code: str,
    stage: str,
    land_m2: float,
    investment_wan: float,
    output_wan: float,
    tax_wan: float,
    jobs: int,
    far: float,
    drawn: Json,
    **more: Any,
) -> Json:
    """`far`: floor area to land, from which the floor figures of the entry review follow."""
    return {
        "id": key,
        "name": name,
        "industry": {"system": "GB/T 4754-2017", "code": code},
        "nature": "新建",
        "stage": stage,
        "land_m2": float(land_m2),
        **drawn,
        "investment_wan": float(investment_wan),
        "output_wan": float(output_wan),
        "tax_wan": float(tax_wan),
        "jobs": float(jobs),
        "floor_area_m2": float(round(land_m2 * far)),
        "building_footprint_m2": float(round(land_m2 * 0.45)),
        "office_land_m2": float(round(land_m2 * 0.05)),
        **more,
    }


def _component(name: str, code: str, land_m2: float, within_m: float, **drawn: float) -> Json:
    return {
        "name": name,
        "industry": {"system": "GB/T 4754-2017", "code": code},
        "land_m2": float(land_m2),
        "linked_within_m": float(within_m),
        **drawn,
    }


def _phase(approval: int, production: int, land_m2: float, **drawn: float) -> Json:
    """Quota falls in the year of approval, when building starts; load in the year of production."""
    return {
        "approval_year": approval,
        "start_year": approval,
        "production_year": production,
        "land_m2": float(land_m2),
        **drawn,
    }
