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
