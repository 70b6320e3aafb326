"""A measurement of a router as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.format import seconds, share

_MAIN = {
    "accuracy": "accuracy",
    "accuracy_forced": "forced choice, in scope",
    "accuracy_abstaining": "with abstention",
    "abstention": "in scope, abstained",
    "intent_accuracy": "intent",
    "macro_f1": "macro F1",
    "ece": "calibration error",
}
_OUTSIDE = {
    "auroc": "out of scope, AUROC",
    "recall_at_5_false_rejection": "out of scope, recall at 5 % false rejection",
    "recall": "out of scope, recall as decided",
    "false_rejection": "in scope, rejected as decided",
}
SEVERAL = {
    "right": "several requests, all agents in order",
    "all_agents": "several requests, all agents",
    "first_agent": "several requests, the first agent",
    "single_kept_whole": "long single requests kept whole",
    "split_wrongly": "single requests shared out",
}
_WEAKEST = 5


def result_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What a person wants to see first: the figures with bounds, the weakest classes, the warnings."""
    if "p_two_sided" in found:
        yield from _comparison(found)
        return
    yield from (f"warning: {warning}" for warning in found["warnings"])
    router = found["router"]
    yield f"router        {router['name']} {router.get('hash', '')[:19]}"
    yield from _tuning(router)
    if "n" not in found:
        return
    yield f"test          {found['test']['source']}, {found['n']} texts, {len(found['classes'])} classes, level {found['level']}"
    yield from (_line(words, found[name]) for name, words in _MAIN.items() if found.get(name))
    if found.get("oos"):
        yield from (_line(words, found["oos"][name]) for name, words in _OUTSIDE.items() if found["oos"].get(name))
    yield from _latency(found["latency"])
    for part in ("turns", "items"):
        if found.get("conversations"):
            yield _line(f"conversations, {part}", found["conversations"][part])
    several = found.get("several", {})
    yield from (_line(words, several[name]) for name, words in SEVERAL.items() if several.get(name))
    yield from _robustness(found.get("robustness", {}))
    yield from _weakest(found["classes"])


def _tuning(router: Mapping[str, Any]) -> Iterator[str]:
    if "tuning" in router:
        tuning, parity = router["tuning"], router["tuning"]["parity"]
        yield f"tuned         on {tuning['texts']} texts, {tuning['plan']['epochs']} epochs, {tuning['device']}, torch {tuning['torch']}"
        yield f"parity        int8 beside torch, {parity['texts']} texts: cosine mean {parity['mean']:.4f}, least {parity['least']:.4f}"
    if "model" in router:
        yield f"model         {router['model']}"


def _line(words: str, estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return f"{words:<44} not measured"
    bounds = (
        "" if estimate["low"] is None or estimate["high"] is None else f"[{share(estimate['low'])}, {share(estimate['high'])}]"
    )
    counted = "" if estimate["k"] is None else f"{estimate['k']} / {estimate['n']}"
    return f"{words:<44} {share(estimate['value']):>8}  {bounds:<20} {counted}".rstrip()


def _latency(latency: Mapping[str, Any]) -> Iterator[str]:
    for name, row in latency.items():
        if row:
            told = "  ".join(f"{part} {seconds(row[part]['value'])}" for part in row)
            yield f"{name.removesuffix('_s'):<13} {told}"


def _robustness(rows: Mapping[str, Any]) -> Iterator[str]:
    for name, row in rows.items():
        if name != "seed":
            yield (
                _line(f"change by {name.replace('_', ' ')}", row["difference"])
                + f"  (broke {row['broke']}, healed {row['healed']})"
            )


def _weakest(classes: Mapping[str, Any]) -> Iterator[str]:
    known = [(row["f1"]["value"], name) for name, row in classes.items() if row["f1"]["value"] is not None and row["recall"]["n"]]
    for _, name in sorted(known)[:_WEAKEST]:
        row = classes[name]
        told = "  ".join(f"{part} {share(row[part]['value']) if row[part]['value'] is not None else '-'}" for part in row)
        yield f"weakest       {name}: {told}"


def _comparison(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"a             {found['a']}"
    yield f"b             {found['b']}"
    yield f"texts         {found['n']}: both right {found['both_right']}, both wrong {found['both_wrong']}"
    yield f"changed       broke {found['broke']}, healed {found['healed']}"
    yield _line("b minus a", found["difference"])
    yield f"McNemar exact two-sided p {found['p_two_sided']:.4g}, b worse {found['p_worse']:.4g}, b better {found['p_better']:.4g}"
