"""The stages of a search as blocks: for the terminal, the report and the dashboard."""

from collections.abc import Iterator

from search import formatting
from search.analysis.confirmation import confirmation
from search.analysis.promotion import PromotedConfig, Promotion
from search.render.document import Block, Bullets, Table, code, literal
from search.retraining.answer import read_answer
from search.retraining.answer_blocks import confirmation_blocks
from search.retraining.stages import StageView, read_promotions, read_stages
from search.scoring import Direction, sign_of
from search.study.open import open_study
from search.study.study import Study

HEAD = ["stage", "study", "with", "from the stage before", "trained", "best"]


def stage_blocks(search: Study, *, with_race: bool = True) -> list[Block]:
    """The stages so far, and what each says about the choice of the one before; nothing without stages.

    Args:
        with_race: with the answer of the last stage, if that is a race that has results.
    """
    views = read_stages(search)
    if not views:
        return []
    direction = search.spec.study.direction
    blocks: list[Block] = [Table(HEAD, [_row(view, direction) for view in views], numeric=2)]
    if items := [
        sentence
        for index, each in enumerate(read_promotions(search, views), 1)
        for sentence in promotion_sentences(each, index)
    ]:
        blocks.append(Bullets(items))
    if with_race and views[-1].stage.seeds and views[-1].complete:
        race = open_study(search.url, views[-1].name, read_only=True)
        blocks += confirmation_blocks(read_answer(confirmation, race))
    return blocks


def _row(view: StageView, direction: Direction) -> list[str]:
    constants = ", ".join(f"{code(name)} {value}" for name, value in view.stage.constants.items())
    sign = sign_of(direction)
    values = [each.value for each in view.configs if each.value is not None]
    counts = [
        f"{len(view.numbers(group))} {words}"
        for group, words in (("kept", "kept"), ("known", "known"), ("control", "as controls"))
        if view.numbers(group)
    ]
    planned = f"keeps {view.stage.keep}" if view.stage.keep else formatting.DASH
    return [
        str(view.index + 1),
        literal(view.name),
        constants or formatting.DASH,
        ", ".join(counts) or planned,
        formatting.DASH if view.trials is None else f"{view.complete} of {view.trials}",
        formatting.score(max(values, key=lambda value: sign * value, default=None)),
    ]


def promotion_sentences(each: Promotion, stage: int) -> Iterator[str]:
    """What stage `stage` + 1 says about stage `stage`, in the order in which a reader asks."""
    names = f"stage {stage} and stage {stage + 1}"
    if each.correlation is not None:
        rho = each.correlation
        yield (
            f"Rank correlation between {names}: {rho.value:.2f}, 95 % interval {rho.low:.2f} to "
            f"{rho.high:.2f}, over the {rho.configs} configs that both trained to the end."
        )
    if (best := each.best) is not None and (first := each.first_choice) is not None:
        if first == best:
            yield f"Had the search ended at stage {stage}, it would have chosen the same: {_value(best)}."
        else:
            yield (
                f"Had the search ended at stage {stage}, it would have chosen {_value(first)} at stage "
                f"{stage + 1}; the best there is {_value(best)}. Each is one run with one seed."
            )
    if each.better is not None and each.lead is not None:
        rate = each.better
        drawn = (
            f"{rate.trials} of the {each.left} configs that stage {stage} left behind went on as controls"
        )
        ahead = f"{rate.count or 'none'} of them {'is' if rate.count < 2 else 'are'}"
        yield (
            f"{drawn}: {ahead} better than everything that was kept. So {100 * rate.low:.0f} to "
            f"{100 * rate.high:.0f} % of those left behind may be (95 % interval). The best control is "
            f"{abs(each.lead):.4f} {'ahead of' if each.lead > 0 else 'behind'} the best that was kept."
        )
        yield _verdict(each, stage)


def _verdict(each: Promotion, stage: int) -> str:
    """In plain words: could the smaller stage be trusted?"""
    if each.better is not None and each.better.count:
        return (
            f"Stage {stage} left behind a config that is ahead, in one run with one seed. Keep more "
            "configs, or train that control again with other seeds."
        )
    if each.correlation is not None and each.correlation.low > 0:
        return f"Nothing speaks against stage {stage}: the order carried over, and no control is ahead."
    return f"Too little was trained in both stages to say whether stage {stage} can be trusted."


def _value(config: PromotedConfig) -> str:
    return f"{literal(config.name)} ({formatting.score(config.after)})"
