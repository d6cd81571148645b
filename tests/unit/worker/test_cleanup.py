"""Which checkpoints may go."""

import random
from pathlib import Path

from service import DOCUMENT

from search.spec.spec import Spec, load_spec
from search.worker.cleanup import CHECKPOINTS, KEPT, drop_checkpoints, never_needed
from storage.reads import TrialRow


def row(number: int, state: str, value: float | None) -> TrialRow:
    return TrialRow(
        trial_id=number,
        number=number,
        slot=number,
        state=state,
        owner=None,
        attempt=1,
        epochs=4,
        horizon=4,
        seconds=1.0,
        value=value,
        params={},
        attributes={},
    )


def spec(folder: Path, *overrides: str) -> Spec:
    """Slot 0 is a known config."""
    (folder / "space.yaml").write_text(DOCUMENT)
    return load_spec(folder / "space.yaml", overrides=overrides)


def test_an_old_list_names_no_trial_that_is_needed_later(tmp_path: Path) -> None:
    """A worker may freeze between reading the trials and removing files, for as long as it likes."""
    searched = spec(tmp_path)
    for seed in range(50):
        order = random.Random(seed)
        rows = [row(number, "RUNNING", None) for number in range(30)]
        before: set[int] = set()
        for number in order.sample(range(30), 30):
            state = order.choice(["COMPLETE", "COMPLETE", "PRUNED", "FAIL"])
            rows[number] = row(number, state, None if state == "FAIL" else order.choice([0.1, 0.5, 0.7]))
            now = set(never_needed(rows, searched))
            assert before <= now, "what was not needed once is needed never again"
            before = now


def test_the_best_the_known_and_the_running_keep_their_checkpoints(tmp_path: Path) -> None:
    rows = [row(number, "COMPLETE", number / 10) for number in range(KEPT + 3)]
    rows += [row(KEPT + 3, "RUNNING", None), row(KEPT + 4, "PRUNED", 9.0), row(KEPT + 5, "FAIL", None)]
    assert never_needed(rows, spec(tmp_path)) == [1, 2, KEPT + 4, KEPT + 5]
    least = spec(tmp_path, "study.direction=minimize", "study.target=null")
    assert never_needed(rows, least) == [5, 6, 7, KEPT + 4, KEPT + 5]


def test_a_users_own_files_beside_the_trials_stay(tmp_path: Path) -> None:
    for name in ("trial-0001", "trial-0001-good", "trial-notes"):
        (tmp_path / name).mkdir()
        for checkpoint in CHECKPOINTS:
            (tmp_path / name / checkpoint).touch()
    (tmp_path / "trial-0002.txt").touch()
    (tmp_path / "trial-0003" / CHECKPOINTS[0]).mkdir(parents=True)
    drop_checkpoints(tmp_path, [3, 1, 2])
    (tmp_path / "trial-0003" / CHECKPOINTS[0]).rmdir()
    assert list((tmp_path / "trial-0001").iterdir()) == []
    assert len(list(tmp_path.glob("trial-*/*"))) == 4
