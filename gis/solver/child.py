"""HiGHS in a process of its own: programmes come in on standard input, incumbents and answers go out on its output.

Nothing else imports highspy (but `knapsack`, for this process), which cannot live beside ortools. The end of the input
ends the process, also in the midst of a solve. Everything is minimised.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import highspy
import numpy as np

from gis.solver.knapsack import Cut, Knapsack
from gis.solver.wire import Message, read, write

if TYPE_CHECKING:
    from layers.records import Ints

# presolve would put sums of columns back in place of the columns that stand for them: free column substitution,
# doubleton equations, aggregator
KEEPS_SUMS = (1 << 8) | (1 << 9) | (1 << 12)

LOOSE = 1e-6  # a cut with so much room holds nothing back
LOOKED_BACK, LITTLE = 10, 0.05  # cuts end when so many rounds gained no more than this share of what all have gained


class Child:
    """One model at a time."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.lock = out, threading.Lock()
        self.highs = highspy.Highs()
        self.integer = np.zeros(0, dtype=np.uint8)
        self.columns: Message = {}

    def load(self, asked: Message) -> None:
        self.highs = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("random_seed", int(asked["seed"]))):
            self.highs.setOptionValue(name, value)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(asked["cost"]), len(asked["row_lower"])
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = asked["cost"], asked["lower"], asked["upper"]
        lp.row_lower_, lp.row_upper_ = asked["row_lower"], asked["row_upper"]
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = asked["start"].astype(np.int32)
        lp.a_matrix_.index_ = asked["row"].astype(np.int32)
        lp.a_matrix_.value_ = asked["value"]
        self.integer = asked["integer"].astype(np.uint8)
        self.columns = asked
        self.highs.passModel(lp)

    def add(self, asked: Message) -> None:
        count = len(asked["cost"])
        self.highs.addCols(
            count,
            asked["cost"],
            np.zeros(count),
            np.ones(count),
            len(asked["row"]),
            asked["start"].astype(np.int32)[:-1],
            asked["row"].astype(np.int32),
            asked["value"],
        )

    def relax(self, asked: Message) -> None:
        """The model without whole numbers: values, what each row's end is worth, objective."""
        self.highs.setOptionValue("time_limit", self.highs.getRunTime() + float(asked["seconds"]))
        self.highs.run()
        found = self.highs.getSolution()
        self.say(
            kind="relaxed",
            status=self.highs.modelStatusToString(self.highs.getModelStatus()),
            x=np.array(found.col_value),
            price=-np.array(found.row_dual),
            objective=self.highs.getInfo().objective_function_value,
        )

    def tighten(self, asked: Message) -> None:
        """The model without whole numbers and with cuts of the pools' rows, until these gain little or reach `enough`:
        objectives on the way, then the cuts that hold something back, each column's value and its reduced cost."""
        until = time.monotonic() + float(asked["seconds"])
        highs, first = self.highs, self.highs.getNumRow()
        pools = self.knapsacks(asked["pools"], asked["item"])
        told: list[float] = []
        cuts: list[Cut] = []
        while True:
            highs.setOptionValue("time_limit", highs.getRunTime() + max(until - time.monotonic(), 0.0))
            highs.run()
            if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                break
            told.append(highs.getInfo().objective_function_value)
            self.say(kind="bound", x=np.zeros(0), bound=told[-1])
            idle = len(told) > LOOKED_BACK and told[-1] - told[-LOOKED_BACK - 1] <= LITTLE * (told[-1] - told[0])
            if idle or told[-1] >= float(asked["enough"]):
                break
            x = np.array(highs.getSolution().col_value)
            more = [cut for pool in pools if time.monotonic() < until and (cut := pool.cut(x)) is not None]
            if not more:
                break
            self.cut(_joined(more))
            cuts += more
        found = highs.getSolution()
        if cuts:
            room = np.array([cut.upper for cut in cuts]) - np.array(found.row_value[first:])
            loose = (first + np.flatnonzero(room > LOOSE)).astype(np.int32)
            highs.deleteRows(len(loose), loose)
            cuts = [cut for cut, left in zip(cuts, room, strict=True) if left <= LOOSE]
        x, reduced = np.array(found.col_value), np.array(found.col_dual)
        self.say(kind="tight", x=x, reduced=reduced, **_joined(cuts))

    def knapsacks(self, pools: Ints, item: Ints) -> list[Knapsack]:
        """The rows of pools that have an end."""
        column = np.repeat(np.arange(len(item)), np.diff(self.columns["start"]))
        row, value, upper = (self.columns[name] for name in ("row", "value", "row_upper"))
        return [
            Knapsack(column[on := row == pool], value[on], item[column[on]], float(upper[pool]))
            for pool in pools
            if np.isfinite(upper[pool])
        ]

    def cut(self, asked: Message) -> None:
        """More rows."""
        count = len(asked["upper"])
        start, column = asked["start"].astype(np.int32), asked["column"].astype(np.int32)
        lower = np.full(count, -np.inf)
        self.highs.addRows(count, lower, asked["upper"], len(column), start[:-1], column, asked["value"])

    def solve(self, asked: Message) -> None:
        """The model with whole numbers; incumbents and bounds on the way."""
        highs = self.highs
        columns = np.arange(len(self.integer), dtype=np.int32)
        highs.changeColsIntegrality(len(columns), columns, self.integer)
        highs.setOptionValue("time_limit", highs.getRunTime() + float(asked["seconds"]))
        highs.setOptionValue("mip_rel_gap", float(asked["gap"]))
        highs.setOptionValue("mip_abs_gap", 0.0)
        highs.setOptionValue("presolve_rule_off", KEEPS_SUMS if asked.get("keeps_sums") else 0)
        if "lower" in asked:
            highs.changeColsBounds(len(columns), columns, asked["lower"], asked["upper"])
        if "x" in asked:
            start = highspy.HighsSolution()
            start.col_value = asked["x"].tolist()
            highs.setSolution(start)
        highs.setCallback(self.heard, None)
        for one in (
            highspy.cb.HighsCallbackType.kCallbackMipImprovingSolution,
            highspy.cb.HighsCallbackType.kCallbackMipLogging,
        ):
            highs.startCallback(one)
        highs.run()
        info, status = highs.getInfo(), highs.getModelStatus()
        found = np.array(highs.getSolution().col_value)
        feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        self.say(
            kind="solved",
            status=highs.modelStatusToString(status),
            x=found if feasible else np.zeros(0),
            objective=info.objective_function_value,
            bound=info.mip_dual_bound,
        )

    def heard(self, kind: Any, message: str, out: Any, _in: Any, _user: Any) -> None:
        better = kind == highspy.cb.HighsCallbackType.kCallbackMipImprovingSolution
        x = np.array(out.mip_solution) if better else np.zeros(0)
        self.say(kind="better" if better else "bound", x=x, bound=out.mip_dual_bound)

    def say(self, **arrays: Any) -> None:
        write(self.out, self.lock, **arrays)


def _joined(cuts: list[Cut]) -> dict[str, Any]:
    """Cuts as arrays, row by row."""
    return {
        "start": np.cumsum([0, *(len(cut.column) for cut in cuts)]),
        "column": np.concatenate([np.zeros(0, dtype=np.int64), *(cut.column for cut in cuts)]),
        "value": np.concatenate([np.zeros(0), *(cut.value for cut in cuts)]),
        "upper": np.array([cut.upper for cut in cuts]),
    }


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(int(sys.argv[1]))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not fall among the messages
    child = Child(out)
    does = {
        "load": child.load,
        "add": child.add,
        "relax": child.relax,
        "tighten": child.tighten,
        "cut": child.cut,
        "solve": child.solve,
    }
    asked: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        one = asked.get()
        does[one["do"]](one)


def _listen(asked: queue.SimpleQueue[Message]) -> None:
    for one in read(sys.stdin.buffer):
        asked.put(one)
    os._exit(0)  # whoever asked is gone


if __name__ == "__main__":
    main()
