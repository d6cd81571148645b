"""A study and its folders -> `ReportData`. Everything is read, nothing is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from search.analysis import winners_curse
from search.analysis.ablation import ablation
from search.analysis.beliefs import drawn_blindly
from search.analysis.confirmation import confirmation
from search.analysis.importance import importance_of
from search.errors import UserError, no_trial, none_complete
from search.imports.imported_runs import read_imported
from search.imports.lookup import stored_run, trial_number
from search.recorded_run import CONFIG, HISTORY, RecordedRun, read_run
from search.records import Record
from search.render.document import literal
from search.report.report_data import ReportData, ReportedTrial
from search.report.score_test_split import read_split_scores
from search.retraining.answer import read_answer
from search.retraining.stage_blocks import stage_blocks
from search.retraining.stages import retrained
from search.retraining.study import deleted_races
from search.study.folder import trial_name
from search.study.read import read_records, read_snapshot
from search.study.study import Study
from storage import studies

PROVENANCE = "provenance."
AGREEMENT = 1e-9
"""How closely a folder's scores must match the database's for its other columns to be used."""


def collect_report_data(
    study: Study, runs: Path, against: str | None = None, ends: list[int] | None = None
) -> ReportData:
    """What there is to report about `study`.

    Args:
        against: the baseline: a known config's name or a trial's number; None: the first known config.
        ends: where the first four stages of a training end; by default as the study's `report` says.

    Raises:
        SearchError: no trial is complete.
        UserError: `against` is no trial with a score, or the study retrains trials of another one.
    """
    if study.plan is not None:
        raise UserError(f"--study: {study.name!r} retrains trials; report on the search, {study.plan.of!r}")
    snapshot = read_snapshot(study)
    if snapshot.best is None:
        raise none_complete(study.name)
    records, retraining = read_records(study), retrained(study)
    by_number = {record.number: record for record in records}
    baseline, why = baseline_of(study, records, against)
    return ReportData(
        snapshot=snapshot,
        records=records,
        blind=_blind(study, records),
        spec=study.spec,
        fingerprint=study.row.fingerprint,
        best=read_trial(study, by_number[snapshot.best.number], runs),
        baseline=None if baseline is None else read_trial(study, baseline, runs),
        no_baseline=why,
        importance=importance_of(records, study.spec.space.parameters, snapshot.direction),
        confirmations=[read_answer(confirmation, each, runs) for each in retraining["confirm"]],
        deleted_races=deleted_races(study, retraining["confirm"]),
        ablations=[read_answer(ablation, each, runs) for each in retraining["ablate"]],
        predicted=winners_curse.predict(records, snapshot.smooth, snapshot.direction),
        imported=read_imported(study),
        test=read_split_scores(study, snapshot.best.number, None if baseline is None else baseline.number),
        ends=ends or study.spec.report.stages,
        stages=stage_blocks(study, with_race=False),
    )


def _blind(study: Study, records: list[Record]) -> list[Record]:
    """The trials whose configs were drawn without regard to results, as far as is known."""
    if studies.attribute(study.engine, study.id, studies.SAMPLER_CHANGED):
        return []
    informed = study.origin is not None or bool(study.samples.checked())
    return drawn_blindly(records, study.spec.study.sampler, informed=informed)


def read_trial(study: Study, record: Record, runs: Path) -> ReportedTrial:
    """A trial from the database, and from its folder if that is on this machine and agrees."""
    folder = runs / study.name / trial_name(record.number)
    run = stored_run(study, record)
    trial = ReportedTrial(record=record, run=run, folder=folder, metric=run.metric)
    try:
        if folder.is_dir() and not any((folder / name).exists() for name in (CONFIG, HISTORY)):
            raise UserError(f"the trials' folders have no {CONFIG} and no {HISTORY}")
        files = read_run(folder, vocabulary=run.vocabulary)
    except UserError as error:
        return replace(trial, missing=str(error))
    leaves = files.leaves
    provenance = {name: value for name, value in leaves.items() if name.startswith(PROVENANCE)}
    missing = _difference(run, files)
    return replace(
        trial,
        run=run if missing else replace(run, columns=files.columns, images=files.images),
        missing=missing,
        metric=files.metric,
        provenance={name.removeprefix(PROVENANCE): value for name, value in provenance.items()},
        data=leaves.get(run.vocabulary.data_setting),
        classes=[str(name) for name in leaves.get(run.vocabulary.classes_setting) or ()],
    )


def _difference(stored: RecordedRun, files: RecordedRun) -> str | None:
    """Why the folder's columns are not used: its scores are not those that were reported."""
    path = f"{files.folder}/{HISTORY}"
    if len(stored.scores) != len(files.scores):
        return f"{path}: has {len(files.scores)} epochs and the database {len(stored.scores)}; not used"
    column = files.vocabulary.score_column
    for epoch, (ours, theirs) in enumerate(zip(stored.scores, files.scores, strict=True), 1):
        if _differ(ours, theirs):
            return f"{path}: {column} of epoch {epoch} is {theirs}, the database has {ours}; not used"
    return None


def _differ(a: Any, b: Any) -> bool:
    return (a is None) != (b is None) or (a is not None and abs(a - b) > AGREEMENT)


def baseline_of(study: Study, records: list[Record], against: str | None) -> tuple[Record | None, str]:
    """The trial to compare the best with; or None, and why."""
    if against is not None:
        number = trial_number(study, against, "--against")
        record = next((record for record in records if record.number == number), None)
        if record is None:
            raise no_trial("--against", number, study.name)
        if record.value is None:
            raise UserError(f"--against: trial {number} ({record.state}) has no score")
        return record, ""
    if not study.spec.known:
        return None, "The study has no known config; `--against N` names a trial to compare it with."
    name = study.spec.known[0].name
    record = next((record for record in records if record.known == name), None)
    if record is None or record.value is None:
        state = "has not been started" if record is None else f"{record.state}, without a score"
        return None, f"The first known config, {literal(name)}, cannot be the baseline: {state}."
    return record, ""
