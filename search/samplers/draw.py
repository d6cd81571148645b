"""What a sampler is built for: one draw for one slot of the budget."""

from dataclasses import dataclass

from search.spec.settings import hashed_seed
from search.spec.spec import Spec


@dataclass(frozen=True)
class SlotDraw:
    """A draw for a slot of a study's budget.

    Attributes:
        slot: from 0; a trial that is taken over keeps its slot.
        redraw: 0 for the first draw; 1, 2, ... where the ones before gave points that were taken.
    """

    spec: Spec
    slot: int
    redraw: int = 0

    @property
    def seed(self) -> int:
        """Differs between slots, so workers never draw alike and a restarted one does not repeat itself."""
        return slot_seed(self.spec.study.sampler.seed, self.slot, self.redraw)


def slot_seed(seed: int, slot: int, redraw: int = 0) -> int:
    """The seed (0 to 2**32 - 1) of a draw for a slot of a study with `seed`."""
    return hashed_seed(f"{seed}:{slot}:{redraw}" if redraw else f"{seed}:{slot}")
