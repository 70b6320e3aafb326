"""Trains an intent head in closed form and calibrates it on utterances it has not seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from assistant.encoder import SentenceEncoder
from assistant.routing.head import NO_AGENT, Floats, Head, dense_input, kernel, project, softmax
from assistant.routing.lexical import BUCKETS, grams, weigh
from assistant.routing.utterances import Utterance

FOLDS = 4
BLOCK = 1024
"""Rows of the kernel matrix that are filled at a time, so that a large file needs no second matrix."""
SPACE = 384
RIDGE = 0.1
LEXICAL_SHARE = 0.1
LOGIT_SCALE = 8.0
"""Regression targets are 0 and 1; this brings them to the range of logits, so that temperatures stay near 1."""

ALWAYS_SEEN = -1
"""The fold of what every fit sees and no fit is judged on."""

TEMPERATURES = np.geomspace(0.125, 4.0, 81)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """`names`: the words of an intent's name count as one more utterance of it, which helps where examples are few.

    `rejected_share` of unseen in-scope utterances may fall below the scope floor.
    """

    names: bool = False
    rejected_share: float = 0.005


PACK_RECIPE = Recipe()


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """One row per utterance: dense inputs, n-gram buckets and damped counts, intent numbers, fold numbers."""

    dense: Floats
    hidden: int
    grams: list[tuple[NDArray[np.intp], Floats]]
    targets: NDArray[np.intp]
    folds: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class _Fit:
    centre: Floats
    projection: Floats
    points: Floats
    dual: Floats
    lexical: Floats
    rarity: Floats


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Predictions for the utterances of some folds by heads that saw neither them nor their families.

    `logits` float32 (utterances, intents), columns in the order of `intents`; `nearest` (utterances,), the cosine to the nearest
    utterance of another fold; `targets` (utterances,), the true columns.
    """

    intents: list[str]
    agents: list[str]
    logits: Floats
    nearest: Floats
    targets: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """`temperature` divides the logits; below `scope_floor` a text is out of scope."""

    temperature: float
    scope_floor: float


def train(
    utterances: Sequence[Utterance],
    encoder: SentenceEncoder,
    recipe: Recipe = PACK_RECIPE,
    calibration: Calibration | None = None,
) -> Head:
    """A calibrated head. Deterministic for the same utterances in the same order and the same encoder.

    An encoder that was tuned on these utterances needs a `calibration` made on texts it had not seen. Without one, an intent has
    two families. Memory: about one float32 matrix of (utterances, utterances).
    """
    intents, agents = labels(utterances)
    inputs = _with_names(utterances, intents, encoder, recipe)
    if calibration is None:
        calibration = _calibrated(_hold_out(inputs, intents, agents, folds=1), recipe)
    fit = _fit(inputs, np.arange(len(inputs.targets)), len(intents))
    return Head(
        intents=np.array(intents),
        agents=np.array(agents),
        centre=fit.centre,
        projection=fit.projection,
        points=fit.points,
        dual=fit.dual,
        lexical=fit.lexical,
        rarity=fit.rarity,
        temperature=np.array([calibration.temperature], dtype=np.float32),
        scope_floor=np.array([calibration.scope_floor], dtype=np.float32),
    )


def calibrate(utterances: Sequence[Utterance], encoder: SentenceEncoder, recipe: Recipe, first: NDArray[np.bool_]) -> Calibration:
    """What `train` would fit, on the utterances where `first` is true, by a head that saw the others only."""
    intents, agents = labels(utterances)
    inputs = _with_names(utterances, intents, encoder, recipe)
    inputs.folds[: len(utterances)] = np.where(first, 0, 1)
    return _calibrated(_hold_out(inputs, intents, agents, folds=1), recipe)


def first_fold(utterances: Sequence[Utterance], folds: int = FOLDS) -> NDArray[np.bool_]:
    """Which utterances are in the first of `folds` folds; families stay together."""
    return _folds(utterances, folds) == 0


def _with_names(utterances: Sequence[Utterance], intents: list[str], encoder: SentenceEncoder, recipe: Recipe) -> _Inputs:
    named = names(utterances) if recipe.names else []
    inputs = _prepare([*utterances, *named], intents, encoder)
    inputs.folds[len(utterances) :] = ALWAYS_SEEN
    return inputs


def _calibrated(held_out: HeldOut, recipe: Recipe) -> Calibration:
    """One fold in four is enough to fit one number, and costs a fifth of the time of all folds."""
    temperature = best_temperature(held_out)
    return Calibration(temperature=temperature, scope_floor=_scope_floor(held_out, temperature, recipe.rejected_share))


def hold_out(utterances: Sequence[Utterance], encoder: SentenceEncoder) -> HeldOut:
    """Cross-validated predictions, families kept together: the fair view of a training file."""
    intents, agents = labels(utterances)
    return _hold_out(_prepare(utterances, intents, encoder), intents, agents, folds=FOLDS)


def labels(utterances: Sequence[Utterance]) -> tuple[list[str], list[str]]:
    """Intents in name order, and the agent of each."""
    owner = {item.intent: item.agent for item in utterances}
    intents = sorted(owner)
    return intents, [owner[intent] for intent in intents]


def best_temperature(held_out: HeldOut) -> float:
    """The temperature with the least held-out loss at agent level, the level at which probabilities are used."""
    members = np.array([[agent == name for agent in held_out.agents] for name in sorted(set(held_out.agents))], dtype=np.float32)
    truth = members[:, held_out.targets].argmax(axis=0)
    rows = np.arange(len(truth))
    losses = [
        -float(np.log(np.maximum((softmax(held_out.logits / np.float32(value)) @ members.T)[rows, truth], 1e-9)).mean())
        for value in TEMPERATURES
    ]
    return float(TEMPERATURES[int(np.argmin(losses))])


def names(utterances: Sequence[Utterance]) -> list[Utterance]:
    """One utterance per intent that an agent owns: the words of its name."""
    owner = {item.intent: item.agent for item in utterances if item.agent != NO_AGENT}
    said = {intent: " ".join(re.split(r"[\W_]+", intent)).strip() for intent in sorted(owner)}
    return [
        Utterance(text=text, intent=intent, agent=owner[intent], family=intent, line=0)
        for intent, text in said.items()
        if any(sign.isalpha() for sign in text)
    ]


def _scope_floor(held_out: HeldOut, temperature: float, rejected_share: float) -> float:
    best = softmax(held_out.logits / np.float32(temperature)).max(axis=1)
    inside = np.array([held_out.agents[target] != NO_AGENT for target in held_out.targets])
    return float(np.quantile((best * held_out.nearest)[inside], rejected_share))


def _prepare(utterances: Sequence[Utterance], intents: Sequence[str], encoder: SentenceEncoder) -> _Inputs:
    encodings = encoder.encode_many(item.text for item in utterances)
    number = {intent: index for index, intent in enumerate(intents)}
    return _Inputs(
        dense=np.stack([dense_input(encoding) for encoding in encodings]),
        hidden=len(encodings[0].embedding),
        grams=[grams(item.text) for item in utterances],
        targets=np.array([number[item.intent] for item in utterances], dtype=np.intp),
        folds=_folds(utterances),
    )


def _folds(utterances: Sequence[Utterance], folds: int = FOLDS) -> NDArray[np.intp]:
    """Families of each intent dealt out in turn, so that every fold trains on every intent with two families or more."""
    fold_of: dict[str, int] = {}
    dealt: dict[str, int] = {}
    for item in utterances:
        if item.family not in fold_of:
            turn = dealt.get(item.intent, 0)
            dealt[item.intent] = turn + 1
            fold_of[item.family] = turn % folds
    return np.array([fold_of[item.family] for item in utterances], dtype=np.intp)


def _hold_out(inputs: _Inputs, intents: list[str], agents: list[str], *, folds: int) -> HeldOut:
    logits = np.zeros((len(inputs.targets), len(intents)), dtype=np.float32)
    nearest = np.zeros(len(inputs.targets), dtype=np.float32)
    for fold in range(folds):
        seen, unseen = np.flatnonzero(inputs.folds != fold), np.flatnonzero(inputs.folds == fold)
        fit = _fit(inputs, seen, len(intents))
        cosines = project(inputs.dense[unseen], fit.centre, fit.projection) @ fit.points.T
        logits[unseen] = kernel(cosines) @ fit.dual + _matrix(inputs, unseen, fit.rarity) @ fit.lexical
        nearest[unseen] = np.maximum(cosines.max(axis=1), 0)
    judged = (inputs.folds != ALWAYS_SEEN) & (inputs.folds < folds)
    return HeldOut(intents=intents, agents=agents, logits=logits[judged], nearest=nearest[judged], targets=inputs.targets[judged])


def _fit(inputs: _Inputs, rows: NDArray[np.intp], classes: int) -> _Fit:
    """Solves (K + ridge I) dual = centred targets, K the sum of both kernels. Centring leaves the intents' shares of the file out."""
    from scipy.linalg import solve

    centre, projection = _space(inputs.dense[rows], inputs.hidden)
    points = project(inputs.dense[rows], centre, projection)
    rarity = _rarity(inputs, rows)
    matrix = _matrix(inputs, rows, rarity)
    system = points @ points.T
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        system[block] = kernel(system[block])
        system[block] += np.float32(LEXICAL_SHARE) * (matrix[block] @ matrix.T).toarray()
    system[np.diag_indices(len(rows))] += np.float32(RIDGE)
    wanted = np.eye(classes, dtype=np.float32)[inputs.targets[rows]]
    wanted -= wanted.mean(axis=0)
    dual = np.float32(LOGIT_SCALE) * cast("Floats", solve(system, wanted, assume_a="pos", overwrite_a=True))
    lexical = np.asarray(np.float32(LEXICAL_SHARE) * (matrix.T @ dual), dtype=np.float32)
    return _Fit(centre=centre, projection=projection, points=points, dual=dual, lexical=lexical, rarity=rarity)


def _space(dense: Floats, hidden: int) -> tuple[Floats, Floats]:
    """Centre and projection onto the main axes of the inputs, after features and embedding (the last `hidden` columns) were given
    equal weight."""
    centre = dense.mean(axis=0)
    width = np.full(dense.shape[1], dense.shape[1] - hidden, dtype=np.float32)
    width[-hidden:] = hidden
    scale = 1.0 / ((dense.std(axis=0) + np.float32(1e-4)) * np.sqrt(width))
    scaled = (dense - centre) * scale
    # Both give the same axes; each is much faster than the other on its side.
    if len(scaled) < scaled.shape[1]:
        axes = np.linalg.svd(scaled, full_matrices=False).Vh[:SPACE].T
    else:
        axes = np.linalg.eigh(scaled.T @ scaled).eigenvectors[:, ::-1][:, :SPACE]
    return centre, np.ascontiguousarray(scale[:, None] * axes, dtype=np.float32)


def _rarity(inputs: _Inputs, rows: NDArray[np.intp]) -> Floats:
    """Smoothed inverse document frequency per bucket, ln((1 + n) / (1 + df)) + 1."""
    frequency = np.zeros(BUCKETS)
    for row in rows:
        frequency[inputs.grams[row][0]] += 1
    return (np.log((1 + len(rows)) / (1 + frequency)) + 1).astype(np.float32)


def _matrix(inputs: _Inputs, rows: NDArray[np.intp], rarity: Floats) -> Any:
    """Weighed n-grams as a sparse matrix (rows, buckets)."""
    from scipy.sparse import csr_matrix

    found = [inputs.grams[row] for row in rows]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in found)])
    values = np.concatenate([weigh(buckets, counts, rarity) for buckets, counts in found])
    return csr_matrix((values, np.concatenate([buckets for buckets, _ in found]), ends), shape=(len(rows), BUCKETS))
