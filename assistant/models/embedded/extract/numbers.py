"""Numbers of a message given to the numeric parameters of a tool: by unit, by the words beside them, then by order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.models.embedded.extract.quantities import Quantity, convert, dimension, find_quantities, named_unit
from assistant.models.embedded.language import STOP_WORDS, stem, words
from assistant.models.embedded.toolbook import Parameter

_REACH = 45
"""How many characters before a number its name may stand."""


def assign_numbers(parameters: Sequence[Parameter], text: str) -> dict[str, int | float]:
    """Each number serves at most one parameter. An optional parameter needs a unit or a word that says it is meant."""
    quantities = find_quantities(text)
    pairs = [
        (score, -parameter_at, -quantity_at)
        for parameter_at, parameter in enumerate(parameters)
        for quantity_at, quantity in enumerate(quantities)
        if (score := _fit(parameter, quantity, text)) is not None
    ]
    chosen: dict[str, int | float] = {}
    spent: set[int] = set()
    for score, parameter_at, quantity_at in sorted(pairs, reverse=True):
        parameter = parameters[-parameter_at]
        if parameter.name in chosen or -quantity_at in spent or (score < 1.0 and not parameter.required):
            continue
        value = _value(parameter, quantities[-quantity_at])
        if value is not None:
            chosen[parameter.name] = value
            spent.add(-quantity_at)
    return chosen


def _fit(parameter: Parameter, quantity: Quantity, text: str) -> float | None:
    if _value(parameter, quantity) is None:
        return None
    target = named_unit(parameter.name, parameter.description)
    score = 0.0
    if target is not None and quantity.unit is not None:
        score += 2.0 if quantity.unit == target else 1.5
    elif quantity.unit is not None and quantity.unit != "degree" and _other_dimension(parameter, quantity.unit):
        score -= 0.5
    return score + _named_beside(parameter, quantity, text)


def _other_dimension(parameter: Parameter, unit: str) -> bool:
    described = set(words(f"{parameter.label} {parameter.description}"))
    return not described & {dimension(unit), unit, "temperature", "time", "price", "amount", "cost", "rate"}


def _named_beside(parameter: Parameter, quantity: Quantity, text: str) -> float:
    before = words(text[max(0, quantity.start - _REACH) : quantity.start])
    after = words(text[quantity.end : quantity.end + 25])[:3]
    names = {stem(word) for word in parameter.label.split() if word not in STOP_WORDS}
    told = {stem(word) for word in words(parameter.description) if word not in STOP_WORDS} - names
    score = 0.0
    for distance, word in enumerate(reversed(before)):
        if stem(word) in names or (len(parameter.name) == 1 and word == parameter.name.lower()):
            score = max(score, 2.0 - 0.15 * distance)
        elif stem(word) in told:
            score = max(score, 0.6 - 0.08 * distance)
    for distance, word in enumerate(after):
        if stem(word) in names:
            score = max(score, 1.6 - 0.3 * distance)
        elif stem(word) in told:
            score = max(score, 0.5 - 0.1 * distance)
    return score


def _value(parameter: Parameter, quantity: Quantity) -> int | float | None:
    value = convert(quantity.value, quantity.unit, named_unit(parameter.name, parameter.description))
    if (
        value is None
        or (parameter.low is not None and value < parameter.low)
        or (parameter.high is not None and value > parameter.high)
    ):
        return None
    if quantity.unit == "percent" and re.search(r"\bdecimal\b|\bfraction\b|\b0 to 1\b", parameter.description, re.IGNORECASE):
        value /= 100
    if parameter.kind == "integer":
        return int(value) if float(value).is_integer() else None
    return int(value) if float(value).is_integer() else value
