"""The pruning audit of a study that a worker has pruned, and what the commands show of it."""

from collections.abc import Callable
from typing import Any

import pytest
from service import Answer, Search

from search.records import Record
from search.runtime.devices import Device
from search.runtime.signals import Interrupt
from search.study.read import read_records
from search.worker.worker import Worker
from storage.claims import Lease
from storage.leases import Leases
from storage.processes import Process
from storage.reads import trial_rows

Command = Callable[..., Answer]


def test_a_study_says_what_its_pruning_did(
    search: Search, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = (
        "study.pruner={kind: median, control: 0.5, startup_trials: 2, epochs: 1, patience: 1, margin: 0}"
    )
    study = search.create(pruner, trials=16)
    worker = Worker(study, search.folder / "runs", None, [Device("cpu", "cpu")])
    at_the_end: dict[int, Record] = {}
    finish = worker.leases.finish

    def looked_at(lease: Lease, *told: Any) -> bool:
        (at_the_end[lease.number],) = read_records(study, lease.number)
        return finish(lease, *told)

    monkeypatch.setattr(worker.leases, "finish", looked_at)
    worker.run(Interrupt())
    records = search.records()
    controls = [record for record in records if record.control]
    ended = [record for record in records if record.reason and record.reason.code == "pruned"]
    for record in controls:
        running = at_the_end[record.number]
        assert running.state == "running" and running.control == record.control, "stored when it fell"
    assert controls and ended and not {r.number for r in controls} & {r.number for r in ended}

    shown = command("status", "--json").json["pruning"]
    assert (shown["pruned"], shown["controls"]) == (len(ended), len(controls))
    assert shown["run"]["epochs"] == sum(record.epochs for record in records)
    assert shown["saved_at_most"]["epochs"] == sum(4 - record.epochs for record in ended)
    assert shown["control"]["epochs"] == sum(4 - record.control.epoch for record in controls)
    assert shown["false_kills"]["trials"] == len(controls)
    said = command("status").out
    assert f"{len(ended)} trials ended early saved" in said and "controls ran on" in said

    # Whoever looks at one trial reads the numbers of the decision on it.
    one = controls[0].control
    assert one.text.startswith(f"epoch {one.epoch}: ") and "below the median" in one.text
    for record in (controls[0], ended[0]):
        text = (record.control or record.reason).text
        out = " ".join(command("trials", str(record.number)).out.split())
        assert text in out
        (listed,) = command("trials", str(record.number), "--json").json
        assert text in ((listed["control"] or {}).get("text", ""), (listed["reason"] or {}).get("text", ""))


def test_the_first_verdict_stays(search_on_each: Search) -> None:
    """Whoever takes a control over may come to another one; whoever has lost it says nothing."""
    study = search_on_each.create(trials=1)
    first, second = (Leases(study.engine, study.id, name, Process.current()) for name in "ab")
    for each in (first, second):
        each.join("cpu")
    lost = first.claim()
    assert isinstance(lost, Lease)
    first.add_attributes(lost, {"control": "epoch 3: once", "control_epoch": 3})
    first.release(lost)
    first.add_attributes(lost, {"seed": 9})
    taken = second.claim()
    assert isinstance(taken, Lease)
    assert second.finish(
        taken, "COMPLETE", 0.5, {"control": "epoch 4: again", "control_epoch": 4, "seed": 7}
    )
    (row,) = trial_rows(study.engine, study.id)
    assert row.attributes == {"control": "epoch 3: once", "control_epoch": 3, "seed": 7}
    study.engine.dispose()
