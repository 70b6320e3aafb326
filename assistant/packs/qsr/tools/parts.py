"""Spare parts on the shelf: what fits, how many there are, what to reorder."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import EquipmentDeps
from assistant.packs.qsr.tools.machines import machines_meant
from assistant.packs.qsr.tools.matching import find
from assistant.packs.qsr.tools.outcome import Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import listing, names_of, say_number
from assistant.packs.qsr.tools.rows import Row, number, text, texts

PARTS = "parts"


async def find_part(ctx: RunContext[EquipmentDeps], part: str) -> Outcome:
    """Look up a spare part: part number, stock on hand, shelf, price and supplier; or the parts that fit a machine.

    Use for: "do we have a spare thermocouple for the fryer"; "part number of the soft-serve scraper blades"; "how many door gaskets are left"
    "which spare parts fit the mixer"; "where is the fryer filter paper kept"; "what does a new beater O-ring kit cost"

    Args:
        part: part, or the machine it is for, in the user's words.
    """
    rows = await ctx.deps.state.items(PARTS)
    found = find(part, rows, fields=("name", "aliases", "part_number"))
    meant = await machines_meant(ctx.deps, part)
    marks = {mark for key, row in meant for mark in (key, text(row, "kind"))}
    fitting = [item for item in rows.items() if marks & set(texts(item[1], "fits"))]
    if found and fitting:
        found = [item for item in found if item in fitting] or found
    found = found or fitting
    if not found:
        if not rows:
            return not_found("No spare parts are registered.")
        return not_found(f"I found no spare part that fits {part!r}. Parts on the list: {names_of(list(rows.items()))}.")
    return told(" ".join(_describe(row) for _, row in found), found)


async def list_low_parts(ctx: RunContext[EquipmentDeps]) -> Outcome:
    """List the spare parts that are at or below their minimum stock.

    Use for: "which spare parts are running low"; "do we need to reorder any machine parts"; "what parts are out of stock"
    "spare parts under minimum"
    """
    rows = await ctx.deps.state.items(PARTS)
    low = [item for item in rows.items() if (number(item[1], "on_hand") or 0) <= (number(item[1], "minimum") or 0)]
    if not low:
        return told("Every spare part is above its minimum stock.")
    lines = [f"{text(row, 'name')} ({_count(row)} on hand, minimum {say_number(number(row, 'minimum') or 0)})" for _, row in low]
    return told(f"At or below minimum stock: {listing(lines)}.", low)


def _count(row: Row) -> str:
    return say_number(number(row, "on_hand") or 0)


def _describe(row: Row) -> str:
    said = f"{text(row, 'name')}, part number {text(row, 'part_number', 'not recorded')}: {_count(row)} on hand"
    said += f" at {text(row, 'shelf')}" if text(row, "shelf") else ""
    price = number(row, "price_usd")
    said += f", ${price:,.2f} each" if price is not None else ""
    said += f" from {text(row, 'supplier')}" if text(row, "supplier") else ""
    days = number(row, "lead_days")
    return said + (f", delivered in {say_number(days)} days." if days is not None else ".")
