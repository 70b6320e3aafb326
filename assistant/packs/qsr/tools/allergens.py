"""The allergen matrix of the menu. It never guesses: an item that is not on the matrix gets no answer about its content."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import SafetyDeps
from assistant.packs.qsr.tools.matching import alike, find, mentioned, words
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing, names_of
from assistant.packs.qsr.tools.rows import Keyed, Row, text, texts

MENU = "menu"
ALLERGENS: dict[str, list[str]] = {
    "milk": ["milk", "dairy", "lactose", "cheese allergy", "casein"],
    "egg": ["egg", "eggs"],
    "fish": ["fish allergy", "fish allergen", "finned fish"],
    "shellfish": ["shellfish", "crustacean", "shrimp allergy"],
    "tree nuts": ["tree nut", "nuts", "nut", "almond", "cashew", "pecan", "walnut"],
    "peanuts": ["peanut", "peanuts", "nut allergy"],
    "wheat": ["wheat", "gluten", "celiac"],
    "soy": ["soy", "soya", "soybean"],
    "sesame": ["sesame"],
}
_SPOKEN = frozenset(
    words(
        "allergen allergens allergy allergies allergic item items menu contain contains containing guest guests customer customers person kid child "
        "eat safe free ask asks asking list listed every anything everything nothing food foods product products dish dishes option options order "
        "without avoid sensitive intolerance intolerant trace traces serve sell say look matrix chart tell he she they know wants no not any "
        + " ".join(name for called in ALLERGENS.values() for name in called)
    )
)


async def look_up_allergens(ctx: RunContext[SafetyDeps], item_or_allergen: str) -> Outcome:
    """Look up the allergen matrix: which allergens a menu item contains, or which menu items contain or are free of an allergen.

    Use for: "does the chicken sandwich contain egg"; "which items have peanuts"; "what can a guest with a milk allergy eat"
    "allergens in the vanilla cone"; "is the veggie wrap gluten free"; "guest asks about sesame in the buns"

    Args:
        item_or_allergen: menu item or allergen, in the user's words.
    """
    rows = await ctx.deps.state.items(MENU)
    if not rows:
        return not_found("The allergen matrix is empty, so ask the manager on duty before you answer the guest.")
    allergens = [
        key for key, _ in mentioned(item_or_allergen, {name: {"aliases": [*called]} for name, called in ALLERGENS.items()})
    ]
    items = mentioned(item_or_allergen, rows) or ([] if allergens else find(item_or_allergen, rows, whole=True))
    if items:
        return told(" ".join(_about(row, allergens) for _, row in items), items)
    found = [item for item in rows.items() if any(_level(item[1], allergen) for allergen in allergens)]
    other = [word for word in words(item_or_allergen) if not any(alike(word, known) for known in _SPOKEN)]
    if allergens and other:
        lead = f"I found no menu item that fits {' '.join(other)!r} on the allergen matrix, and allergens are never guessed: ask the manager on duty."
        return not_found(f"{lead} {' '.join(_with(rows, allergen, free=False) for allergen in allergens)}", found)
    if allergens:
        return told(" ".join(_with(rows, allergen) for allergen in allergens), found)
    known = names_of(list(rows.items()))
    return not_found(
        f"{item_or_allergen!r} is neither on the allergen matrix nor a major allergen, and allergens are never guessed. "
        f"Menu items on the matrix: {known}. Allergens: {listing(list(ALLERGENS))}."
    )


def _level(row: Row, allergen: str) -> str:
    if allergen in texts(row, "contains"):
        return "contains"
    return "may contain" if allergen in texts(row, "may_contain") else ""


def _about(row: Row, allergens: list[str]) -> str:
    name, contains, may = text(row, "name"), texts(row, "contains"), texts(row, "may_contain")
    said: list[str] = []
    for allergen in allergens:
        level = _level(row, allergen)
        verb = {"contains": "contains", "may contain": "may contain traces of", "": "is not listed with"}[level]
        said.append(f"The {name} {verb} {allergen}.")
    full = f"{name}: contains {listing(contains)}" if contains else f"{name}: none of the 9 major allergens is an ingredient"
    said.append(f"{full}{f'; may contain {listing(may)}' if may else ''}.")
    return " ".join(said)


def _with(rows: dict[str, Row], allergen: str, *, free: bool = True) -> str:
    by_level: dict[str, list[Keyed]] = {"contains": [], "may contain": [], "": []}
    for item in rows.items():
        by_level[_level(item[1], allergen)].append(item)
    said = [f"These items contain {allergen}: {names_of(by_level['contains']) or 'none'}."]
    if by_level["may contain"]:
        said.append(f"May contain {allergen}: {names_of(by_level['may contain'])}.")
    if free:
        said.append(f"Not listed with {allergen}: {names_of(by_level['']) or 'none'}.")
    return " ".join(said)
