"""Areas as people read them: 亩, hectares and square metres, rounded half up, and tables whose parts add up.

Sum first, round once: a total is the rounded sum, never the sum of rounded parts; `closed` then shares the last
digits out so that the printed parts add up to the printed total all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

SQUARE_METRES_PER_MU = 2000 / 3
SURE_DIGITS = 15  # every decimal of 15 digits survives being kept as a binary float; a 16th is noise
EXACT = Context(prec=700, rounding=ROUND_HALF_UP)  # enough digits for any float at any number of places


def exact(value: float | Decimal) -> Decimal:
    """A number as the decimal a person would read: a float by its 15 sure digits, a Decimal or int as it is.

    A float is binary: what was typed as 2.675 is kept as 2.67499999999999982..., and a sum or an area carries noise
    in its last bit. Neither may decide which way a tie goes, so a float counts as its nearest decimal of 15
    significant digits, which is what was typed wherever somebody typed it.

    >>> exact(2.675), exact(0.1 + 0.2), exact(float("nan"))
    (Decimal('2.675'), Decimal('0.3'), Decimal('NaN'))
    """
    return Decimal(value if isinstance(value, (int, Decimal)) else format(value, f".{SURE_DIGITS}g"))


def round_half_up(value: float | Decimal, places: int) -> Decimal:
    """The number with that many decimal places; five and more goes away from zero (四舍五入), as survey rules have it.

    Floats are read as `exact` says, so 2.675 gives 2.68. NaN and infinity stay what they are; zero has no sign.

    >>> round_half_up(2.675, 2), round_half_up(-0.5, 0), round_half_up(-0.004, 2)
    (Decimal('2.68'), Decimal('-1'), Decimal('0.00'))
    """
    read = exact(value)
    if not read.is_finite():
        return read
    rounded = read.quantize(Decimal(1).scaleb(-places), context=EXACT)
    return rounded if rounded else abs(rounded)


def m2(square_metres: float | Decimal) -> Decimal:
    """Square metres with 2 decimal places, as registers and answers carry them."""
    return round_half_up(square_metres, 2)


def ha(square_metres: float | Decimal) -> Decimal:
    """Hectares with 4 decimal places.

    >>> ha(57_993.94)
    Decimal('5.7994')
    """
    return round_half_up(EXACT.scaleb(exact(square_metres), -4), 4)


def mu(square_metres: float | Decimal) -> Decimal:
    """亩 with 2 decimal places: 15 亩 are a hectare.

    >>> mu(10_000), mu(666.67), mu(3.33), mu(3.34)
    (Decimal('15.00'), Decimal('1.00'), Decimal('0.00'), Decimal('0.01'))
    """
    return round_half_up(EXACT.multiply(exact(square_metres), Decimal("0.0015")), 2)


def rounded(values: ArrayLike, places: int) -> NDArray[np.float64]:
    """(N,) numbers rounded half up as `round_half_up` does it one by one, as floats; NaN and infinity stay.

    >>> rounded([2.675, -2.5, float("nan")], 2)
    array([ 2.68, -2.5 ,   nan])
    """
    plain = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.abs(plain) * 10.0**places
        whole = np.floor(size)
        sure = np.abs(size - whole - 0.5) > 1e-13 * size
        out = np.asarray(np.copysign(whole + (size - whole >= 0.5), plain) / 10.0**places + 0.0)
    # near a tie, and where floats have no more digits than are asked for, binary arithmetic cannot tell
    unsure = ~sure
    out[unsure] = [float(round_half_up(float(value), places)) for value in plain[unsure]]
    return out


def closed(parts: Iterable[float | Decimal], total: float | Decimal | None = None, places: int = 2) -> list[Decimal]:
    """The parts of a table rounded so that they add up to the rounded total exactly (largest remainder).

    Parameters
    ----------
    parts : numbers >= 0, exact
    total : what they have to come to; their own sum where it is not said. Parts that come to something else are
        first scaled in proportion (控制面积平差).
    places : decimal places of parts and total

    Returns
    -------
    The parts in their order. Each is its exact (scaled) value rounded down or up, so none is negative, and one that
    needs no rounding stays: zero is zero. The last digits go to the largest remainders, then to the larger part,
    then to the earlier one.

    Raises ValueError where a part is negative or unknown, or where parts that are all zero should come to more.

    >>> closed([1/3, 1/3, 1/3], places=2)
    [Decimal('0.34'), Decimal('0.33'), Decimal('0.33')]
    >>> closed([10, 20.004, 0], total=60, places=1)
    [Decimal('20.0'), Decimal('40.0'), Decimal('0.0')]
    """
    read = [exact(part) for part in parts]
    if any(not part.is_finite() or part < 0 for part in read):
        raise ValueError("a table closes only where every part is known and none is negative")
    units = [Fraction(part) * Fraction(10) ** places for part in read]
    own = _half_up(sum(units, Fraction(0)))
    wanted = own if total is None else int(EXACT.scaleb(round_half_up(total, places), places))
    if wanted != own:
        whole = sum(units, Fraction(0))
        if wanted < 0 or whole == 0:
            raise ValueError(f"parts that come to {whole / Fraction(10) ** places} cannot be closed to {total}")
        units = [unit * wanted / whole for unit in units]
    floors = [math.floor(unit) for unit in units]
    order = sorted(range(len(units)), key=lambda n: (floors[n] - units[n], -units[n], n))
    for n in order[: wanted - sum(floors)]:
        floors[n] += 1
    return [EXACT.scaleb(Decimal(floor), -places) for floor in floors]


def _half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
