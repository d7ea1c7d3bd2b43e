"""Whatever is refused is said in Chinese, too: every sentence of the code is in the catalogue, with its values."""

import re
import typing

import pytest
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import core_schema

from api.problems import PROBLEMS
from api.wording import both, catalogue, fault_row, field_zh, line_of, pointer, zh
from layers.errors import Fault
from tests.sentences import Walk

CHINESE = re.compile(r"[一-鿿]")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Each sentence of the code, and a place where it is said."""
    return {one.text: one.place for one in Walk().said()}


def test_every_sentence_of_a_refusal_has_its_chinese(said: dict[str, str]) -> None:
    known = catalogue()["sentences"]
    missing = {f"{place}: {text}" for text, place in said.items() if text not in known}
    assert not missing, "add these to api/locale/refusals.zh-CN.json:\n" + "\n".join(sorted(missing))


def test_the_walk_finds_sentences_however_they_are_put_together(said: dict[str, str]) -> None:
    assert len(said) > 900
    for text in (
        "no parcel {}",  # an f-string where it is raised
        "its boundary crosses itself ({})",  # handed over as a local name
        "Draw a closed boundary that does not cross itself",  # a keyword, a constant
        "quota/<unit>/<year>/<kind> with {}; capacity/<facility>/<{}>",  # of several pieces
        "{} is not a number",  # through a function that takes it as a parameter
        "it is asked at {}",  # yielded by a generator
        "its geometry is empty",  # a reason and what to do in one text
    ):
        assert text in said, text


def test_the_catalogue_holds_no_sentence_that_nobody_says(said: dict[str, str]) -> None:
    spoken = {fix for *_, fix in PROBLEMS.values()} | set(said) | DYNAMIC
    assert {one for one in catalogue()["sentences"] if not PYDANTIC.match(one)} - spoken == set()


# said by the framework, or put together where the walk does not look
DYNAMIC = {"Not Found", "Method Not Allowed", "There was an error parsing the body", "{}: {}"}
PYDANTIC = re.compile(r"^(Field|Extra inputs|Input|String) ")  # of a cell of a project library, without its kind


def test_a_chinese_sentence_is_chinese_and_keeps_every_value() -> None:
    for en, chinese in catalogue()["sentences"].items():
        holes = en.count("{}")
        used = re.findall(r"\{(\d*)\}", chinese)
        numbers = {int(one) if one else at for at, one in enumerate(used)}
        assert numbers == set(range(holes)), f"{en} -> {chinese}"
        assert CHINESE.search(chinese) or not re.search("[a-z]{3} [a-z]{3}", en) or en.startswith("parkplan "), en


def test_every_problem_type_has_its_chinese_title_and_its_way_out() -> None:
    for slug, (_, title_zh, _, fix) in PROBLEMS.items():
        assert CHINESE.search(title_zh), slug
        assert CHINESE.search(zh(fix) or ""), fix


def test_every_fault_that_pydantic_knows_has_its_chinese() -> None:
    kinds = set(typing.get_args(core_schema.ErrorType))
    known = catalogue()["fields"]
    assert kinds <= set(known), f"add to `fields`: {sorted(kinds - set(known))}"


class Asked(BaseModel):
    """Fields that go wrong in several ways."""

    jobs: int = Field(ge=0)
    name: str = Field(max_length=3)
    stage: typing.Literal["储备", "引进"]
    land_m2: float


def test_the_values_of_a_field_stand_in_its_chinese_sentence() -> None:
    with pytest.raises(ValidationError) as caught:
        Asked.model_validate({"jobs": -1, "name": "abcd", "stage": "x"})
    found = [field_zh(one["type"], one.get("ctx") or {}, one["msg"]) for one in caught.value.errors()]
    assert found == ["应不小于 0", "最多 3 个字符", "应为 '储备' 或 '引进'", "缺少此字段"]


def test_a_sentence_is_known_with_its_values() -> None:
    assert zh("no parcel '5206'") == "没有宗地 '5206'"
    assert zh("no plan 'a'; no parcel 'b'") == "没有方案 'a'；没有宗地 'b'"
    assert zh("county.gpkg cannot be opened (the disk is full)") == "county.gpkg 无法打开（磁盘已满）"
    assert zh("2 of x are what nobody says") is None


def test_a_name_that_reads_like_a_sentence_stays_a_name() -> None:
    assert zh("no parcel no parking") == "没有宗地 no parking"


def test_a_very_long_name_costs_no_time_and_stays_whole() -> None:
    name = "{} is not, " * 1_500
    assert zh(f"{name!r} is no user") is None  # unsaid, and answered at once
    assert both("detail", name)["detail_zh"] == name


def test_a_fault_says_where_it_is_in_either_language() -> None:
    one = fault_row(Fault("it has no area", "Draw it", file="a.txt", feature="3", field="面积"))
    assert line_of(one, "zh") == "a.txt，要素 3，字段 面积：没有面积。请画出边界"
    assert line_of(one, "en") == "a.txt, feature 3, field 面积: it has no area. Draw it"


def test_a_pointer_escapes_what_it_is_made_of() -> None:
    assert pointer(["site", "parts", 0, "a/b~c"]) == "#/site/parts/0/a~1b~0c"
