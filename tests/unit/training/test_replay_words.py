"""What `search replay` says of a repetition, in each case."""

from types import SimpleNamespace
from typing import Any

from snapshots import RECORD

from search.analysis.replay import Difference, replayed
from search.render import markdown
from search.render.document import Document
from search.training.replay import Replay


def said(then: list[Any], now: list[Any], *differences: Difference, recorded: Any = None) -> str:
    answer = replayed(then, now, differences, smooth=3, direction="maximize")
    anything: Any = SimpleNamespace()
    replay = Replay(
        study="s",
        record=RECORD,
        training=anything,
        answer=answer,
        recorded=recorded,
        folder=None,
    )
    return markdown.render(Document("", replay.blocks(), []))


def test_how_a_repetition_came_out_is_said_with_its_figures() -> None:
    curve = [0.50, 0.52, 0.49, 0.51, 0.50, 0.53, 0.50, 0.51, 0.49, 0.52, 0.50, 0.51]
    equal = said(curve, curve, recorded={})
    assert "is reproduced to the last bit**: all 12 scores are equal" in equal
    assert "Settings, seed, data, code, libraries and device are those recorded." in equal
    assert "only its curve and the fingerprint of its data" in said(curve, curve)
    noisy = said(curve, [*curve[:1], *reversed(curve[1:])])
    assert "is reproduced within noise**: scores differ from epoch 2 of 12, by 0.0" in noisy
    assert "; value 0.5133, now 0.5133; the levels differ by " in noisy
    assert "95 % interval of the runs' noise -" in noisy
    short = said(curve[:4], [0.1, 0.2, 0.3, 0.4])
    assert "is not reproduced" in short and "; too short to know their noise" in short
    library = Difference("library", "torch", "2.8.0", None)
    table = said(curve, curve, library, recorded={})
    assert "| library | torch | 2.8.0 | not recorded |" in table and "are those recorded" not in table
