"""Having a judge label what people have labelled already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from evals.errors import UsageError
from evals.judging.asking import Judge, PairQuestion, Ruling, rule, rule_pair
from evals.judging.calibration import Judgement
from evals.judging.labels import Item, Pair
from evals.judging.rubrics import Rubric

Progress = Callable[[int, int], None]
_TURNED = {"1": "2", "2": "1"}


async def judge_items(
    judge: Judge, rubric: Rubric, items: Sequence[Item], *, repeats: int, progress: Progress | None = None
) -> list[Judgement]:
    """Ask `judge` about every item `repeats` times, a pair in both orders; four questions at once. A missing verdict is a judgement without one.

    Raises `UsageError` when rubric and items do not fit.
    """
    if isinstance(items[0], Pair) != (rubric.kind == "pair"):
        wanted = (
            "pairs need a rubric of kind `pair`" if isinstance(items[0], Pair) else "single answers need a `statement` or `scale`"
        )
        raise UsageError(f"--rubric {rubric.name}: is of kind `{rubric.kind}`; {wanted}")
    questions = [
        _question(judge, rubric, item, repeat, swap)
        for repeat in range(repeats)
        for item in items
        for swap in ((False, True) if isinstance(item, Pair) else (False,))
    ]
    limit, done = asyncio.Semaphore(4), 0

    async def one(question: Callable[[], Coroutine[Any, Any, Judgement]]) -> Judgement:
        nonlocal done
        async with limit:
            found = await question()
        done += 1
        if progress:
            progress(done, len(questions))
        return found

    async with judge.model, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(question)) for question in questions]
    return [task.result() for task in tasks]


def _question(judge: Judge, rubric: Rubric, item: Item, repeat: int, swap: bool) -> Callable[[], Coroutine[Any, Any, Judgement]]:
    async def ask() -> Judgement:
        ruling = await _ask(judge, rubric, item, swap)
        said = _TURNED.get(ruling.said or "") if swap else ruling.said
        return Judgement(item=item.id, said=said, repeat=repeat, swap=swap)

    return ask


async def _ask(judge: Judge, rubric: Rubric, item: Item, swap: bool) -> Ruling:
    if isinstance(item, Pair):
        shown = (item.output_2, item.output_1) if swap else (item.output_1, item.output_2)
        return await rule_pair(judge, rubric, PairQuestion(asked=item.input, first=shown[0], second=shown[1]))
    return await rule(judge, rubric, [item.input], item.output)
