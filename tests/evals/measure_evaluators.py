"""The evaluators on public data: `python tests/evals/measure_evaluators.py`. Prints what docs/measurements/evaluators.md holds."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from evals.cards import Expectation, ToolExpectation
from evals.evaluators.actions import tool_faults
from evals.evaluators.grounding import support
from evals.evaluators.refusal import macro_f1, refuses
from evals.evaluators.text import normalise
from evals.transcript import ToolCall

DATA = Path(os.environ.get("ASSAY_DATA_DIR", Path(__file__).resolve().parents[3] / "shared/data"))
Call = tuple[str, dict[str, Any]]


def xstest(model: str) -> tuple[list[bool], list[bool]]:
    """Labelled refusals (partial ones too) and what the evaluator says of the same answers."""
    path = DATA / f"xstest/model_completions/xstest_v2_completions_{model}.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["final_label"][0] != "1" for row in rows], [refuses(row["completion"]) for row in rows]


def halueval() -> list[tuple[str, str, str, str, str]]:
    """`(source, right sentence, wrong sentence, right answer, wrong answer)` of the questions whose two sentences are within a tenth in length."""
    found: list[tuple[str, str, str, str, str]] = []
    for name in ("qa_one-turn_candidates", "qa_multi-turn_candidates"):
        with (DATA / f"halueval/{name}.jsonl").open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                answers = row["right_answer"].rstrip("."), row["hallucinated_answer"].rstrip(".")
                right, wrong = (f"The answer to the question {row['question'].rstrip('?. ')} is {answer}." for answer in answers)
                if 0.9 <= len(right) / len(wrong) <= 1 / 0.9:
                    found.append((f"{row['knowledge']}\n{row['question']} answer", right, wrong, *answers))
    return found


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The chance that a right answer scores above a wrong one, ties half."""
    wins = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    return wins / (len(right) * len(wrong))


def bfcl_calls() -> Iterator[list[Call]]:
    """The first accepted value of every argument of every gold call, item by item."""
    for name in ("BFCL_v4_simple_python", "BFCL_v4_multiple"):
        with (DATA / f"bfcl_v4/possible_answer/{name}.json").open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                yield [
                    (tool, {key: values[0] for key, values in arguments.items() if values and values[0] != ""})
                    for call in row["ground_truth"]
                    for tool, arguments in call.items()
                ]


def expects(calls: Sequence[Call]) -> Expectation:
    return Expectation(
        tools=[ToolExpectation(name=tool, arguments=arguments, match="exact") for tool, arguments in calls], order="exact"
    )


def passes(expectation: Expectation, calls: Sequence[Call]) -> bool:
    return not tool_faults(expectation, [ToolCall(tool=tool, arguments=arguments, ok=True) for tool, arguments in calls])


def wrong_name(calls: Sequence[Call]) -> list[Call]:
    return [(f"{tool}_2", arguments) for tool, arguments in calls]


def missing_argument(calls: Sequence[Call]) -> list[Call]:
    return [(tool, dict(list(arguments.items())[1:])) for tool, arguments in calls]


def wrong_value(calls: Sequence[Call]) -> list[Call]:
    return [
        (tool, {key: _other(value) if index == 0 else value for index, (key, value) in enumerate(a.items())}) for tool, a in calls
    ]


def extra_call(calls: Sequence[Call]) -> list[Call]:
    return [*calls, calls[0]]


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value} x"
    return [*value, "x"] if isinstance(value, list) else {**value, "x": 1}


MUTATIONS: dict[str, Callable[[Sequence[Call]], list[Call]]] = {
    "name": wrong_name,
    "missing argument": missing_argument,
    "wrong value": wrong_value,
    "extra call": extra_call,
}


def bfcl() -> dict[str, tuple[int, int]]:
    """Kind -> (right verdicts, items): gold calls pass, each mutation fails. Order is mutated over two neighbouring items played as one;
    an item without arguments has no argument to miss or to change."""
    items = list(bfcl_calls())
    told = {"gold": [passes(expects(calls), calls) for calls in items]}
    for kind, mutate in MUTATIONS.items():
        able = [calls for calls in items if kind in ("name", "extra call") or all(arguments for _, arguments in calls)]
        told[kind] = [not passes(expects(calls), mutate(calls)) for calls in able]
    told["order"] = [not passes(expects([*a, *b]), [*b, *a]) for a, b in pairwise(items) if a != b]
    return {kind: (sum(verdicts), len(verdicts)) for kind, verdicts in told.items()}


def irrelevance() -> tuple[int, int]:
    """Right verdicts of two each: no call passes where none may be made, and any call of the item's own tool fails."""
    with (DATA / "bfcl_v4/BFCL_v4_irrelevance.json").open(encoding="utf-8") as file:
        names = [row["function"][0]["name"] for row in map(json.loads, file)]
    none = Expectation(tools=[])
    return sum(passes(none, []) + (not passes(none, [(name, {})])) for name in names), 2 * len(names)


def main() -> None:
    print = sys.stdout.write
    for model in ("llama2new", "gpt4"):
        truth, told = xstest(model)
        print(f"| {model} | {len(truth)} | {macro_f1(truth, told):.3f} |\n")
    rows = halueval()
    scores = {
        "sentence supported": ([support(r, s) for s, r, *_ in rows], [support(w, s) for s, _, w, *_ in rows]),
        "length alone": ([-len(r) for _, r, *_ in rows], [-len(w) for _, _, w, *_ in rows]),
        "sentence is in the source": (
            [float(normalise(r) in normalise(s)) for s, r, *_ in rows],
            [float(normalise(w) in normalise(s)) for s, _, w, *_ in rows],
        ),
        "bare answer is in the source": (
            [float(normalise(a) in normalise(s)) for s, _, _, a, _ in rows],
            [float(normalise(a) in normalise(s)) for s, _, _, _, a in rows],
        ),
    }
    print(f"\nHaluEval QA, {len(rows)} pairs\n")
    for name, (right, wrong) in scores.items():
        print(f"| {name} | {auroc(right, wrong):.3f} |\n")
    print("\n")
    for kind, (right, of) in [*bfcl().items(), ("irrelevance", irrelevance())]:
        print(f"| {kind} | {right} / {of} |\n")


if __name__ == "__main__":
    main()
