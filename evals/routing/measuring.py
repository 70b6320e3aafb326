"""Measures a router on a labelled set: ours trained on a file, one of a model folder, or anyone else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assistant.encoder.tuned import read_card
from assistant.routing import Router
from assistant.routing.stored import TrainingData, head_digest, load_model, own_encoder, save_model
from evals.errors import UsageError
from evals.routing.formats import Row
from evals.routing.judged import HeadRouter, Judged, MeasuredRouter, judge_rows, label_of, labels_of
from evals.routing.labelled import LabelledSet, own_out_of_scope, read_domains, read_out_of_scope, read_test, read_training
from evals.routing.perturbations import PERTURBATIONS, perturb
from evals.routing.result import describe
from evals.routing.routers import open_router
from evals.routing.trained import Workplace, train_router, tune_router
from evals.suites import Progress
from reports.statistics.bonett_price import paired_difference


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files as the command line names them. Exactly one of `train`, `model` alone, and `router` says what is measured."""

    train: str | None = None
    test: str | None = None
    oos: str | None = None
    domains: str | None = None
    rows: str | None = None
    model: Path | None = None
    router: str | None = None
    robustness: bool = False
    seed: int = 7
    finetune: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured: its labels' level, the classes it knows (empty: unknown), the agent of each intent, and facts for the result."""

    open: Callable[[Sequence[str]], MeasuredRouter]
    level: str | None
    classes: Sequence[str]
    agents: Mapping[str, str]
    facts: Mapping[str, Any]
    warnings: Sequence[str] = ()


def measure(sources: Sources, place: Workplace) -> dict[str, Any]:
    """The fields of `assay routing --json`. Raises `UsageError`, `TargetError` and what the encoder and a model folder raise."""
    domains = read_domains(sources.domains) if sources.domains else None
    # A fault in the test file is told before minutes of training.
    tested = read_test(sources.test, domains=domains) if sources.test else None
    outside = _outside(sources)
    subject = _subject(sources, domains, place)
    if sources.test is None or tested is None:
        return {"router": subject.facts, "warnings": list(subject.warnings)}
    if subject.level == "agent" and domains is None:
        tested = read_test(sources.test, agents=subject.agents)
    return _measured(sources, subject, tested, outside, place.progress)


def _measured(
    sources: Sources, subject: Subject, tested: LabelledSet, outside: Sequence[Row], progress: Progress
) -> dict[str, Any]:
    level = subject.level or tested.level
    if level == "agent" and tested.level != "agent":
        raise UsageError(f"{sources.test}: names no agent, and the router chooses agents; give `agent` or --domains")
    labels = labels_of(tested.rows, level)
    router = subject.open(sorted({*labels, *subject.classes}))
    judged = judge_rows(tested.rows, router, level, lambda done, total: progress("test", done, total))
    away = judge_rows(outside, router, level, lambda done, total: progress("out of scope", done, total))
    found = {
        "router": subject.facts,
        "level": level,
        "test": {"source": sources.test, "digest": tested.digest, "n": len(tested.rows)},
        "warnings": [*subject.warnings, *tested.warnings, *_unknown(tested.rows, level, subject.classes)],
        **describe(judged, away, labels),
    }
    if sources.robustness:
        found["robustness"] = measure_robustness(judged, router, level, sources.seed, progress)
    return found


def _outside(sources: Sources) -> list[Row]:
    if sources.oos:
        return read_out_of_scope(sources.oos)
    own = own_out_of_scope(sources.test) if sources.test else None
    return read_out_of_scope(own) if own else []


def _subject(sources: Sources, domains: Mapping[str, str] | None, place: Workplace) -> Subject:
    if sources.router:
        data = read_training(sources.train, rows_file=sources.rows, domains=domains) if sources.train else None
        spec = sources.router
        return Subject(
            open=lambda labels: open_router(spec, labels),
            level=data.level if data else None,
            classes=labels_of(data.rows, data.level) if data else [],
            agents={row.intent: row.agent for row in data.rows} if data else {},
            facts={"name": spec},
        )
    if sources.train:
        data = read_training(sources.train, rows_file=sources.rows, domains=domains)
        return _trained(sources, data, place)
    if sources.model is None:
        raise UsageError("nothing to measure: give --train FILE, --model FOLDER or --router SPEC")
    router, card = load_model(sources.model, own_encoder(sources.model, place.cache_dir) or place.open())
    facts = _facts(router, {"source": card.data, "digest": card.data_digest, "n": card.utterances})
    return _ours(router, facts | {"model": str(sources.model)})


def _trained(sources: Sources, data: LabelledSet, place: Workplace) -> Subject:
    if sources.model and place.device and not sources.finetune:
        raise UsageError("--model keeps a head for the served encoder, and --device reads with another; leave --device out")
    tuned = tune_router(data, place) if sources.finetune else None
    router = tuned.router if tuned else train_router(data, place.open(), place.cache_dir)
    facts = _facts(router, {"source": data.source, "digest": data.digest, "n": len(data.rows)})
    if tuned:
        facts["tuning"] = dict(read_card(tuned.folder))
    if sources.model:
        about = TrainingData(name=Path(data.source).name, digest=data.digest, utterances=len(data.rows))
        facts["model"] = str(sources.model)
        save_model(sources.model, router, about, tuned.folder if tuned else None)
    return replace(_ours(router, facts), warnings=data.warnings)


def _facts(router: Router, trained: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "head",
        "hash": head_digest(router.head),
        "encoder": router.encoder.fingerprint,
        "train": dict(trained),
    }


def _ours(router: Router, facts: Mapping[str, Any]) -> Subject:
    agents = dict(zip(map(str, router.head.intents), map(str, router.head.agents), strict=True))
    return Subject(
        open=lambda _: HeadRouter(router, "head"),
        level="intent" if all(intent == agent for intent, agent in agents.items()) else "agent",
        classes=sorted({*agents.values()}),
        agents=agents,
        facts=facts,
    )


def _unknown(rows: Sequence[Row], level: str, classes: Sequence[str]) -> list[str]:
    """Labels of the test that the router never saw: always wrong, and worth saying."""
    if not classes:
        return []
    strange = {label: row.place for row in reversed(rows) if (label := label_of(row, level)) not in classes and label != "none"}
    return [f"{place}: {label!r} is in no training text; such texts cannot be right" for label, place in sorted(strange.items())]


def measure_robustness(
    judged: Sequence[Judged], router: MeasuredRouter, level: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """The same texts in each variant: accuracy, and its change with bounds, paired by text."""
    abstaining = any(item.outside for item in judged)

    def right(item: Judged) -> bool:
        return item.expected == (item.choice.settled if abstaining else item.choice.forced)

    found: dict[str, Any] = {"seed": seed}
    for name in PERTURBATIONS:
        rows = [replace(item.row, text=perturb(item.row.text, name, seed)) for item in judged]
        changed = [number for number, row in enumerate(rows) if row.text != judged[number].row.text]
        again = judge_rows(
            [rows[number] for number in changed], router, level, lambda done, total, name=name: progress(name, done, total)
        )
        pairs = [(right(judged[number]), right(after)) for number, after in zip(changed, again, strict=True)]
        broke, healed = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
        before = sum(map(right, judged))
        found[name] = {
            "changed": len(changed),
            "accuracy": (before - broke + healed) / len(judged),
            "broke": broke,
            "healed": healed,
            "difference": asdict(paired_difference(broke, healed, len(judged))),
        }
    return found
