"""Fine-tunes the encoder on labelled texts, so that texts of one class lie together and those of others apart.

The loss is cross-entropy over the cosines of a text's vector to one learned direction per class, times a fixed scale
(normalised softmax: Zhai and Wu, BMVC 2019). The directions start at the mean vector of their class, so that the first step already
knows what the frozen encoder knows. They are dropped afterwards: the encoder is kept, the router fits its own head on its vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.encoder.eager import Device, batches, open_torch, pad, pooled_layers
from assistant.encoder.weights import BertShape, EncoderFiles, read_tensors, read_tokenizer

BUCKETED = 8
"""Batches that are drawn together and sorted by length, so that little is padding."""

CLIP = 1.0

Tensors = dict[str, NDArray[np.float32]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """The learning rate climbs to its peak over the first `warm_up` share of the steps and then falls to 0 in a line.

    `scale` multiplies cosines, `dropout` is the share dropped where BERT drops, `decay` the weight decay of matrices.
    """

    epochs: int = 10
    batch: int = 32
    learning_rate: float = 5e-5
    head_learning_rate: float = 1e-3
    warm_up: float = 0.1
    decay: float = 0.01
    dropout: float = 0.1
    scale: float = 20.0
    seed: int = 7


@dataclass(frozen=True, kw_only=True)
class _Lesson:
    """What is learned from: token numbers and class of each text, on `device`."""

    torch: Any
    shape: BertShape
    plan: TuningPlan
    device: Device
    ids: list[list[int]]
    targets: Any


def tune(
    examples: Sequence[tuple[str, str]], files: EncoderFiles, plan: TuningPlan, device: Device, progress: Progress
) -> Tensors:
    """The tensors of the encoder in `files` after tuning on texts, each with its class; classes are two or more.

    The same for the same examples in the same order, device and build of torch. Raises `EncoderError` without torch or the device.
    """
    torch = open_torch(device)
    torch.manual_seed(plan.seed)
    tokenizer = read_tokenizer(files)
    known = sorted({name for _, name in examples})
    lesson = _Lesson(
        torch=torch,
        shape=files.shape,
        plan=plan,
        device=device,
        ids=[tokenizer.encode(text).ids for text, _ in examples],
        targets=torch.tensor([known.index(name) for _, name in examples], device=device),
    )
    tensors = {name: torch.from_numpy(value).to(device) for name, value in read_tensors(files).items()}
    directions = _class_means(lesson, tensors).requires_grad_()
    for tensor in tensors.values():
        tensor.requires_grad_()
    _learn(lesson, tensors, directions, progress)
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _class_means(lesson: _Lesson, tensors: dict[str, Any]) -> Any:
    """(classes, hidden): the mean of each class's vectors, of unit length."""
    torch = lesson.torch
    vectors = torch.zeros(len(lesson.ids), lesson.shape.hidden, device=lesson.device)
    with torch.no_grad():
        for batch in batches(torch, lesson.ids, lesson.device):
            last = pooled_layers(torch, tensors, lesson.shape, batch)[-1]
            vectors[batch.places] = torch.nn.functional.normalize(last, dim=1)
        sums = torch.zeros(int(lesson.targets.max()) + 1, lesson.shape.hidden, device=lesson.device)
        return torch.nn.functional.normalize(sums.index_add(0, lesson.targets, vectors), dim=1)


def _learn(lesson: _Lesson, tensors: dict[str, Any], directions: Any, progress: Progress) -> None:
    torch, plan = lesson.torch, lesson.plan
    functional = torch.nn.functional
    optimizer = _optimizer(lesson, tensors, directions)
    steps = plan.epochs * math.ceil(len(lesson.ids) / plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_pace, steps=steps, warm_up=plan.warm_up))
    learned = list(tensors.values())
    for step, places in enumerate(_draw(lesson), start=1):
        batch = pad(torch, lesson.ids, places, lesson.device)
        last = pooled_layers(torch, tensors, lesson.shape, batch, plan.dropout)[-1]
        cosines = functional.normalize(last, dim=1) @ functional.normalize(directions, dim=1).T
        loss = functional.cross_entropy(plan.scale * cosines, lesson.targets[places])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, CLIP)
        optimizer.step()
        schedule.step()
        progress(step, steps)


def _optimizer(lesson: _Lesson, tensors: dict[str, Any], directions: Any) -> Any:
    """AdamW; norms and biases do not decay, nor do the directions, whose length means nothing."""
    plan = lesson.plan
    groups = [
        {
            "params": [tensor for tensor in tensors.values() if tensor.ndim > 1],
            "lr": plan.learning_rate,
            "weight_decay": plan.decay,
        },
        {"params": [tensor for tensor in tensors.values() if tensor.ndim == 1], "lr": plan.learning_rate, "weight_decay": 0.0},
        {"params": [directions], "lr": plan.head_learning_rate, "weight_decay": 0.0},
    ]
    return lesson.torch.optim.AdamW(groups, fused=True)


def _pace(step: int, steps: int, warm_up: float) -> float:
    """The share of the peak rate at a step counted from 0."""
    rising = max(1.0, warm_up * steps)
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1.0, steps - rising)))


def _draw(lesson: _Lesson) -> Iterator[list[int]]:
    """Batches of places: every text once an epoch, texts of like length together, both orders random."""
    plan, chance = lesson.plan, np.random.default_rng(lesson.plan.seed)
    for _ in range(plan.epochs):
        order = chance.permutation(len(lesson.ids))
        found: list[list[int]] = []
        for start in range(0, len(order), plan.batch * BUCKETED):
            near = sorted(
                (int(place) for place in order[start : start + plan.batch * BUCKETED]), key=lambda place: len(lesson.ids[place])
            )
            found += [near[at : at + plan.batch] for at in range(0, len(near), plan.batch)]
        for number in chance.permutation(len(found)):
            yield found[number]
