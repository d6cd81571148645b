"""Whole searches with trials that hang: noticed, written down with their stack, taken over once."""

from service import Search


def test_a_hung_trial_is_taken_over(search: Search) -> None:
    search.environment["SEARCH_HANG_SECONDS"] = "1"
    flags = ["--set", "trouble=hang once", "--set", "seconds=0.05"]
    search.run("start", "--trials", "1", "--workers", "1", *flags)
    (record,) = search.finished(1)
    assert record.attempts == 2
    log = (search.runs / "trial-0000" / "log.txt").read_text()
    assert "ERROR   trial 0 hung after epoch 2: no batch for 1 s" in log
    assert "Current thread" in log and 'toy.py", line' in log and "in misbehave" in log
    assert set(search.trained().values()) == {1}, "an epoch was trained again"


def test_a_trial_that_hangs_twice_fails(search: Search) -> None:
    search.environment["SEARCH_HANG_SECONDS"] = "0.6"
    search.create("trouble=hang", "seconds=0.05", trials=1)
    search.run("worker", code=1)
    (record,) = search.records()
    assert (record.state, record.worker, record.epochs) == ("running", None, 2)
    said = search.run("worker", code=1).err
    assert "trial 0 hung before its first epoch was done: no batch for 4 s" in said
    (record,) = search.records()
    assert (record.state, record.attempts) == ("failed", 2)
    assert record.reason is not None and record.reason.code == "bug"
    assert "a second time, so it ends" in record.reason.text
