"""CSV files as TensorBoard and Weights & Biases export them -> the form with a row per epoch.

    Wall time,Step,Value                                  TensorBoard: one scalar of one run
    "Step","night - val_f_score","night - val_f_score__MIN",...    W&B: a chart of one run or more
    _step,_runtime,_timestamp,val_f_score,...             W&B: a run's history

Steps count from 0 or from 1. Extremes, times and columns without a name are left out.
"""

from collections.abc import Mapping, Sequence

EPOCH = "epoch"
Rows = Sequence[tuple[int, Mapping[str, str]]]
STEPS = ("Step", "_step")
BETWEEN = " - "
EXTREMES = ("__MIN", "__MAX")


def as_epoch(cell: str) -> str:
    """The cell as a whole number where it is one: pandas writes `1.0` for 1."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return str(int(number)) if number.is_integer() else cell


def is_export(header: Sequence[str]) -> bool:
    """Whether the names of the columns are those of such a file."""
    tensorboard = {"Wall time", "Step", "Value"} <= set(header)
    chart = "Step" in header and any(BETWEEN in name for name in header)
    return tensorboard or chart or "_step" in header


def by_epoch(header: Sequence[str], rows: Rows, score: str) -> list[tuple[str | None, list[str], Rows]]:
    """Each run in an export: its name if the file has one, its columns, its rows.

    Args:
        score: the name that TensorBoard's only column of values gets.
    """
    step = next(name for name in STEPS if name in header)
    shift = 1 if rows and as_epoch(rows[0][1][step]) == "0" else 0
    runs: dict[str, dict[str, str]] = {}
    for name in header:
        run, between, column = name.rpartition(BETWEEN)
        if name in (step, "Wall time") or not name or name.startswith("_") or name.endswith(EXTREMES):
            continue
        runs.setdefault(run if between else "", {})[name] = score if name == "Value" else column
    found: list[tuple[str | None, list[str], Rows]] = []
    for run, columns in runs.items():
        its_rows = []
        for line, row in rows:
            epoch = as_epoch(row[step])
            epoch = str(int(epoch) + shift) if epoch.isdecimal() else epoch
            its_rows.append((line, {EPOCH: epoch, **{new: row[old] for old, new in columns.items()}}))
        while its_rows and not any(value for name, value in its_rows[-1][1].items() if name != EPOCH):
            its_rows.pop()  # a shorter run of a chart
        found.append((run or None, [EPOCH, *columns.values()], its_rows))
    return found
