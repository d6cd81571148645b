"""The column with the epoch in a CSV file."""

EPOCH = "epoch"


def as_epoch(cell: str) -> str:
    """The cell as a whole number where it is one: pandas writes `1.0` for 1."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return str(int(number)) if number.is_integer() else cell
