"""Numbers of a message given to the numeric parameters of a tool: by unit, by the words beside them, then by order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.models.embedded.extract.quantities import Quantity, convert, dimension, find_quantities, named_unit, unit_of
from assistant.models.embedded.language import STOP_WORDS, stem, word_list, words
from assistant.models.embedded.toolbook import Parameter

_FREE_BEFORE = frozenset(
    word_list(
        "reads read reading reached hit shows says log record count counted order add buy sell send book scored gave rate got still now only another plus minus about over under"
    )
)
_NO_COUNT = frozenset({"money", "temperature", "share"})
LABEL_FIT = 1.0
"""How well a number that names a thing ("table 4") must fit otherwise to be an argument."""
_REACH = 45
"""How many characters before a number its name may stand."""


def assign_numbers(parameters: Sequence[Parameter], text: str, *, labels: bool = True) -> dict[str, int | float]:
    """Each number serves at most one parameter. An optional parameter needs a unit or a word that says it is meant.

    `labels` false: a number that names one of several things ("table 4") serves no parameter that is not named for it.
    """
    quantities = find_quantities(text)
    pairs = [
        (score, -parameter_at, -quantity_at)
        for parameter_at, parameter in enumerate(parameters)
        for quantity_at, quantity in enumerate(quantities)
        if (score := _fit(parameter, quantity, text)) is not None
        and (labels or score >= LABEL_FIT or not _is_label(quantity, text))
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


def count_numbers(text: str) -> int:
    """How many numbers a text gives, without those that only name one of several things ("table 4")."""
    return sum(not _is_label(one, text) for one in find_quantities(text))


def unit_choice(parameter: Parameter, text: str) -> object | None:
    """For a parameter whose choices are units: the choice of the first number that carries one of them."""
    units = {unit_of(str(choice)): choice for choice in parameter.choices}
    if len(units) < 2 or None in units:
        return None
    return next((units[one.unit] for one in find_quantities(text) if one.unit in units), None)


def _fit(parameter: Parameter, quantity: Quantity, text: str) -> float | None:
    if _value(parameter, quantity) is None:
        return None
    target = named_unit(parameter.name, parameter.description)
    if target is None and _counts(parameter) and quantity.unit is not None and dimension(quantity.unit) in _NO_COUNT:
        return None
    score = 0.0
    if target is not None and quantity.unit is not None:
        score += 2.0 if quantity.unit == target else 1.5
    elif quantity.unit is not None and quantity.unit != "degree" and _other_dimension(parameter, quantity.unit):
        score -= 0.5
    score += 1.0 if _counts(parameter) and _is_count(quantity, text) else 0.0
    named = _named_beside(parameter, quantity, text)
    score -= 0.6 if _is_label(quantity, text) else 0.0
    return score + named - (0.3 if quantity.spelled else 0.0)


def _counts(parameter: Parameter) -> bool:
    return (
        re.search(
            r"\b(?:how many|quantity|count|number of|amount)\b", f"{parameter.label} {parameter.description}", re.IGNORECASE
        )
        is not None
    )


def _is_count(quantity: Quantity, text: str) -> bool:
    """ "6 cases of it": a number with what is counted behind it."""
    return (
        quantity.unit is None
        and not _is_label(quantity, text)
        and re.match(r"\s+(?:more\s+)?[A-Za-z]{3,}", text[quantity.end :]) is not None
    )


def _is_label(quantity: Quantity, text: str) -> bool:
    """ "Table 4", "unit 2": a number that names one of several."""
    before = re.search(r"([A-Za-z]+) $", text[: quantity.start])
    return (
        before is not None
        and quantity.unit is None
        and not quantity.spelled
        and quantity.value < 100
        and before[1].lower() not in _FREE_BEFORE
        and before[1].lower() not in STOP_WORDS
        and re.match(r"\s+(?:out of|of|more|[a-z]{3,}s\b)", text[quantity.end :]) is None
    )


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
