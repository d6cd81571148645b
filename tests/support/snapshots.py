"""Records and snapshots to show, and what a terminal makes of them."""

from dataclasses import replace
from io import StringIO

from rich.console import Console, RenderableType

from search.records import Budget, Record, Snapshot, WorkerView

PARAMS = {
    "optimizer.learning_rate": 8e-4,
    "model.dropout": 0.15,
    "schedule.kind": "cosine",
    "schedule.warmup_epochs": 5,
}


RECORD = Record(
    number=0,
    state="complete",
    value=0.7,
    last=0.71,
    best_score=0.72,
    best_epoch=9,
    params=PARAMS,
    known=None,
    seed=42,
    epochs=10,
    curve=[0.1, 0.5, 0.72, 0.71],
    reason=None,
    worker="w0",
    attempts=1,
    seconds=80.0,
)


RUNNING = replace(RECORD, state="running", value=None, best_score=0.65, last=0.6, epochs=4, seconds=45.0)


WORKER = WorkerView(
    id="w0",
    host="here",
    device="cuda:0",
    pid=7,
    state="training",
    trial=3,
    epoch=4,
    epochs=20,
    score=0.6,
    best=0.65,
    lr=7.89e-4,
    images_per_second=412.4,
    seen_seconds_ago=1.0,
)


EMPTY = Snapshot(
    study="mseg",
    storage="sqlite:///runs/mseg.db",
    profile=None,
    direction="maximize",
    smooth=5,
    target=None,
    budget=Budget(trials=10, claimed=4, complete=2, pruned=1, failed=0, running=1),
    best=None,
    best_known=None,
    running=[],
    epochs_run=40,
    epochs_saved=12,
    workers=[],
)


FULL = replace(
    EMPTY,
    target=0.75,
    best=replace(RECORD, number=2),
    best_known=replace(RECORD, value=0.69, known="hand-tuned best"),
    running=[replace(RUNNING, number=3)],
    workers=[WORKER],
    finished=[replace(RECORD, seconds=100.0)],
)


def pictured(**changes) -> Snapshot:
    return replace(FULL, **changes)


def text(renderable: RenderableType, width: int = 80, height: int = 24, **options) -> str:
    stream = StringIO()
    console = Console(file=stream, width=width, height=height, highlight=False, **options)
    console.print(renderable, crop=False)
    return stream.getvalue()


def words(renderable: RenderableType, width: int = 200) -> str:
    return " ".join(text(renderable, width).split())
