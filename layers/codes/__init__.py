"""Land-use code systems. The same digits mean other things in another system (0601 is industry in one and a
farm road in the next), so a code is looked up with its system or not at all."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import pandas as pd


@lru_cache(maxsize=1)
def land_use() -> pd.DataFrame:
    """Every known class: code_system, edition, code, names, three_class, cultivated, paddy, source, confidence.

    Empty `three_class` or `paddy` means that the standard does not decide it, which is unknown.
    """
    with files(__name__).joinpath("land_use.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def systems() -> list[str]:
    return sorted(land_use()["code_system"].unique())


def classify(code_system: pd.Series, code: pd.Series) -> pd.DataFrame:
    """Columns three_class, cultivated, paddy for codes, row for row; null where the code is not known.

    >>> classify(pd.Series(["GB/T 21010-2017", "YDYH-2023"]), pd.Series(["0601", "0601"]))["three_class"].tolist()
    ['construction', 'agricultural']
    """
    table = land_use()
    index = pd.MultiIndex.from_frame(table[["code_system", "code"]])
    row = index.get_indexer(pd.MultiIndex.from_arrays([code_system, code]))
    found = table[["three_class", "cultivated", "paddy"]].reset_index(drop=True).reindex(row)
    found.index = code.index
    flags = {"1": True, "0": False}
    return pd.DataFrame(
        {
            "three_class": found["three_class"].map(lambda v: v if isinstance(v, str) and v else None),
            "cultivated": found["cultivated"].map(flags.get),
            "paddy": found["paddy"].map(flags.get),
        },
        dtype=object,
    )


def with_zeros(code_system: pd.Series, code: pd.Series) -> pd.Series:
    """Codes whose leading zero a number column lost, given back where the system has that code and not the bare one.

    Every code of these systems has an even number of digits, so `101` can only be `0101`. For number columns alone:
    in text a missing zero is a typing error that somebody has to look at.

    >>> with_zeros(pd.Series(["GB/T 21010-2017"] * 3), pd.Series(["101", "1001", "999"])).tolist()
    ['0101', '1001', '999']
    """
    table = land_use()
    known = pd.MultiIndex.from_frame(table[["code_system", "code"]])
    padded = code.where(code.isna(), "0" + code.astype(object).fillna("").astype(str))
    lost = code.notna() & (known.get_indexer(pd.MultiIndex.from_arrays([code_system, code])) < 0)
    lost &= known.get_indexer(pd.MultiIndex.from_arrays([code_system, padded])) >= 0
    return code.mask(lost, padded)
