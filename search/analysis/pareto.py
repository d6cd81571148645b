"""Which trials are the best of their size: the Pareto front of score against parameters."""

from collections.abc import Sequence

from search.records import Record
from search.scoring import Direction, sign_of


def pareto_front(records: Sequence[Record], direction: Direction) -> list[Record]:
    """The trials for which no other has a better value with at most as many parameters, smallest first.

    Trials whose value or number of parameters is not known are left out. Of trials that are equal in both,
    the first one is on the front.
    """
    sign = sign_of(direction)
    sized = [
        (record.parameters, -sign * record.value, record)
        for record in records
        if record.parameters is not None and record.value is not None
    ]
    front: list[Record] = []
    least = float("inf")
    for _, loss, record in sorted(sized, key=lambda each: (*each[:2], each[2].number)):
        if loss < least:
            least = loss
            front.append(record)
    return front
