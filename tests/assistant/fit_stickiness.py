"""Fits the weights of `assistant/routing/stickiness.py`: `python tests/assistant/fit_stickiness.py [FOLDS]`.

Conditional logistic regression on the follow-ups in data/conversations.jsonl, each with the agent that was really open, by a head that
has not seen these conversations. Whoever wrote them did not see the assistant's questions, so open questions are not weighed here. Prints the weights to be written there, and how often the chosen agent
is right: with the weights as they are, and with weights fitted on the other conversations.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from assistant.encoder import SentenceEncoder
from assistant.routing import NO_AGENT, Router
from assistant.routing.stickiness import LEAST_SHARE, NOBODY, PULLS, READINGS, cues, read_form

DATA = Path(__file__).parent / "data" / "conversations.jsonl"
SHORT = Path(__file__).parent / "data" / "short_changes.jsonl"
"""Short messages that stand alone; conversations hold too few of them to learn that shortness alone keeps nobody."""
UTTERANCES = Path(__file__).parents[2] / "assistant" / "packs" / "qsr" / "utterances.jsonl"
FROM_TALKS = "talk-"
"""Families of utterances that were taken from these conversations."""
NAMES = [*READINGS, *NOBODY, *PULLS]
PENALTY = 1.0
SHORT_COUNTS = 0.3
"""What a short message of its own counts, against 1 of a real follow-up: in conversations they are rare."""


def follow_ups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(DATA.read_text(encoding="utf-8").splitlines()):
        current = previous = None
        for turn in json.loads(line)["turns"]:
            if current:
                found.append({**turn, "talk": number, "current": current, "previous": previous})
            if turn["agent"] != NO_AGENT:
                current, previous = turn["agent"], turn["text"]
    return found


def short_changes(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each short message after a message to another agent, in the conversations by turns."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(SHORT.read_text(encoding="utf-8").splitlines()):
        said = json.loads(line)
        others = [turn for turn in turns if turn["current"] != said["agent"]]
        before = others[number * 97 % len(others)]
        found.append(before | said | {"previous": before["previous"], "talk": number, "short": True})
    return found


def measure(router: Router, turn: dict[str, Any], agents: list[str]) -> NDArray[np.float64]:
    """One row per agent, a column for each of `NAMES`."""
    form = read_form(turn["text"])
    readings = [dict(reading.agents) for reading in router.read(turn["text"], turn["previous"], form)]
    sizes = list(cues(form).values())
    rows: list[list[float]] = []
    for agent in agents:
        shares = [float(np.log(max(reading[agent], LEAST_SHARE))) for reading in readings]
        nobody = float(agent == NO_AGENT)
        rows.append([*shares, nobody, nobody * form.acknowledges, *(size * (agent == turn["current"]) for size in sizes)])
    return np.array(rows)


def fit(inputs: NDArray[np.float64], truth: NDArray[np.intp], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.arange(len(truth))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = inputs @ weights
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        missed = shares.copy()
        missed[rows, truth] -= 1
        value = -(counts * np.log(shares[rows, truth] + 1e-12)).sum() + 0.5 * PENALTY * (weights @ weights)
        return float(value), np.einsum("na,nac->c", missed * counts[:, None], inputs) + PENALTY * weights

    return minimize(loss, np.zeros(inputs.shape[2]), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x


def shown(right: NDArray[np.bool_], turns: list[dict[str, Any]]) -> str:
    kinds = np.array(
        ["short" if "short" in turn else "staying" if turn["agent"] == turn["current"] else "changing" for turn in turns]
    )
    real = kinds != "short"
    parts = ", ".join(f"{kind} {right[kinds == kind].mean():.1%}" for kind in ("staying", "changing", "short"))
    return f"{right[real].sum()} of {real.sum()} follow-ups ({right[real].mean():.1%}); {parts}"


def open_router(cache: Path) -> Router:
    """The pack's router without what was taken from the conversations."""
    unseen = cache / "utterances.jsonl"
    lines = UTTERANCES.read_text(encoding="utf-8").splitlines(keepends=True)
    unseen.write_text("".join(line for line in lines if not json.loads(line)["family"].startswith(FROM_TALKS)), encoding="utf-8")
    return Router.load(unseen, SentenceEncoder.load(cache_dir=Path.home() / ".cache" / "assay"), cache)


def main() -> None:
    folds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        router = open_router(Path(folder))
    turns = follow_ups()
    turns += short_changes(turns)
    agents = sorted({str(agent) for agent in router.head.agents})
    inputs = np.stack([measure(router, turn, agents) for turn in turns])
    truth = np.array([agents.index(turn["agent"]) for turn in turns])
    counts = np.array([SHORT_COUNTS if "short" in turn else 1.0 for turn in turns])
    talks = np.array([turn["talk"] for turn in turns])
    current = np.array([*READINGS.values(), *NOBODY.values(), *PULLS.values()])
    sys.stdout.write(f"as they are: {shown((inputs @ current).argmax(axis=1) == truth, turns)}\n")
    right = np.zeros(len(turns), dtype=bool)
    for fold in range(folds):
        tested = talks % folds == fold
        weights = fit(inputs[~tested], truth[~tested], counts[~tested])
        right[tested] = (inputs[tested] @ weights).argmax(axis=1) == truth[tested]
    sys.stdout.write(f"fitted on the other conversations: {shown(right, turns)}\n")
    for name, weight in zip(NAMES, fit(inputs, truth, counts), strict=True):
        sys.stdout.write(f"{name}: {weight:.2f}\n")


if __name__ == "__main__":
    main()
