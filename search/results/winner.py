"""Which trial of a search is meant where nobody names one."""

from search.analysis.confirmation import ConfigResult, Confirmation, confirmation
from search.errors import UserError, none_complete
from search.records import Record, Snapshot, candidates
from search.retraining.answer import read_answer
from search.retraining.answer_blocks import headline
from search.retraining.stages import made_stages, retrained
from search.scoring import sign_of
from search.study.read import read_records, read_snapshot
from search.study.study import Study


def default_study(study: Study) -> Study:
    """The study whose trials are meant: the last stage of a search in stages that has completed one.

    A race as the last stage must have ended.
    """
    stages = [stage for stage in made_stages(study) if stage.plan is not None]
    return next((stage for stage in reversed(stages) if _best_of_stage(stage)), study)


def default_trial(study: Study) -> tuple[int, str]:
    """The number of the trial to use, and why it is that one.

    The trial with the best value, of a stage as of a search. Once a confirmation has settled which config
    is better on fresh seeds, that config's trial. Either way the weights are of one seed, the search's own.
    Of a stage that is a race, the best seed of the config with the best mean.

    Raises:
        UserError: the study retrains trials, of which none is the best. SearchError: no trial is complete.
    """
    if study.plan is not None and study.plan.stage is not None and (first := _best_of_stage(study)):
        stage = f"stage {study.plan.stage + 1} of search {study.plan.of}"
        if study.plan.kind == "stage":
            return first.number, f"the best of {stage}"
        return first.number, f"of the config with the best mean over the seeds of {stage}, its best seed"
    if study.plan is not None:
        raise UserError(
            f"--study: {study.name!r} trains configs of {study.plan.of!r} again, so none is its best; "
            f"name one with --trial, or use --study {study.plan.of}"
        )
    best = read_snapshot(study).best
    if best is None:
        raise none_complete(study.name)
    answer = confirmation_of(study)
    winner = None if answer is None else _settled(answer)
    if answer is None or winner is None:
        return best.number, "the best of the search"
    number = winner.config.number
    if number is None or number == best.number:
        return best.number, "the best of the search, which fresh seeds confirm"
    return number, (
        f"by study {answer.study} its config is better on fresh seeds; the best of the search is trial "
        f"{best.number}"
    )


def best_of(study: Study, snapshot: Snapshot) -> Record:
    """The best complete trial.

    Raises:
        UserError: the study retrains configs, of which none is the best. SearchError: no trial is complete.
    """
    if snapshot.answer is not None:
        raise UserError(f"best: the best of a config's seeds is luck; see {snapshot.answer}")
    if snapshot.best is None:
        raise none_complete(study.name)
    return snapshot.best


def confirmation_of(study: Study) -> Confirmation | None:
    """What fresh seeds say so far about the best of `study`, or of the search that it races for.

    None where nothing was retrained.
    """
    if study.plan is not None:
        return read_answer(confirmation, study) if study.plan.kind == "confirm" else None
    return next((read_answer(confirmation, race) for race in retrained(study)["confirm"]), None)


def fresh_verdict(study: Study) -> str | None:
    """What fresh seeds say about the best of `study` so far, in a sentence; None where they say nothing."""
    answer = confirmation_of(study)
    return None if answer is None or answer.winner is None else headline(answer).sentence


def _best_of_stage(stage: Study) -> Record | None:
    """Its best trial; of a race the best of the config that is best on average, once it has ended."""
    records, direction = read_records(stage), stage.spec.study.direction
    if (answer := confirmation_of(stage)) is not None:
        rows = (answer.baseline, *answer.contenders)
        means = [(sign_of(direction) * row.mean.value, row.config.params) for row in rows if row.mean]
        if not answer.ended or not means:
            return None
        _, params = max(means, key=lambda pair: pair[0])
        records = [record for record in records if record.params == params]
    return next(iter(candidates(records, direction)), None)


def _settled(answer: Confirmation) -> ConfigResult | None:
    """The config that fresh seeds have shown to be the best; None while that is open."""
    winner = answer.winner
    if winner is None or not answer.ended:
        return None
    if winner.verdict == "better":
        return winner
    if all(result.verdict == "worse" for result in answer.contenders):
        return answer.baseline
    return None
