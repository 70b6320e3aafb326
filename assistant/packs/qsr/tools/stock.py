"""Stock on hand, reorder points and orders."""

from __future__ import annotations

from datetime import timedelta

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import OperationsDeps
from assistant.packs.qsr.tools.matching import find, mentioned
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, names_of, say_day, say_number
from assistant.packs.qsr.tools.rows import Keyed, Row, day, next_id, number, text

INVENTORY = "inventory"
ORDERS = "orders"


async def get_stock(ctx: RunContext[OperationsDeps], item: str) -> Outcome:
    """Look up how much of a stock item is on hand, its reorder point and what is on order.

    Use for: "how many burger buns do we have"; "are we out of napkins"; "check the stock of chicken fillets"; "do we have enough fries for tonight"
    "inventory level of soft-serve mix"

    Args:
        item: stock item, in the user's words.
    """
    rows = await ctx.deps.state.items(INVENTORY)
    found = mentioned(item, rows) or find(item, rows)
    if not found:
        return await _unknown(ctx.deps, item)
    orders = await ctx.deps.state.items(ORDERS)
    return told(" ".join(_level(key, row, orders) for key, row in found), found)


async def list_low_stock(ctx: RunContext[OperationsDeps]) -> Outcome:
    """List the stock items at or below their reorder point.

    Use for: "what is running low"; "which items do we need to reorder"; "low stock list"; "what are we about to run out of"
    "anything below par in the store room"
    """
    rows = await ctx.deps.state.items(INVENTORY)
    low = [item for item in rows.items() if _is_low(item[1])]
    if not low:
        return told("Every stock item is above its reorder point.")
    orders = await ctx.deps.state.items(ORDERS)
    said = " ".join(_level(key, row, orders) for key, row in low)
    return told(f"{count(len(low), 'item')} at or below the reorder point. {said}", low)


async def record_stock_count(ctx: RunContext[OperationsDeps], item: str, counted: float) -> Outcome:
    """Record a stock count of an item.

    Use for: "I counted 14 packs of buns"; "set the napkins to 6 cases"; "inventory count, fries 9 cases"; "we have 3 jugs of fryer oil left, update it"

    Args:
        item: stock item that was counted, in the user's words.
        counted: number counted, in the item's own unit.
    """
    deps = ctx.deps
    one = await _one(deps, item, "record_stock_count")
    if not isinstance(one, tuple):
        return one
    key, row = one
    if counted < 0:
        return not_found("A count cannot be below zero, so I recorded nothing.")
    before = number(row, "on_hand")
    row |= {"on_hand": counted, "counted_at": deps.now().isoformat(timespec="minutes"), "counted_by": deps.user_id}
    await deps.state.put(INVENTORY, key, row)
    was = f" (before: {say_number(before)})" if before is not None else ""
    orders = await deps.state.items(ORDERS)
    return told(
        f"I recorded {say_number(counted)} {text(row, 'unit')} of {text(row, 'name')}{was}. {_level(key, row, orders)}",
        [(key, row)],
    )


async def place_order(ctx: RunContext[OperationsDeps], item: str, quantity: float | None = None) -> Outcome:
    """Place an order for a stock item with its supplier.

    Use for: "order 10 cases of fries"; "place an order for burger buns"; "we need more cups, order 5 cases"; "reorder soft-serve mix up to par"

    Args:
        item: stock item to order, in the user's words.
        quantity: quantity to order, in the item's own unit. Leave out to fill up to par.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    one = await _one(deps, item, "place_order")
    if not isinstance(one, tuple):
        return one
    key, row = one
    wanted = quantity if quantity is not None else (number(row, "par") or 0) - (number(row, "on_hand") or 0)
    if wanted <= 0:
        par = number(row, "par")
        why = (
            f"{text(row, 'name')} is at par ({say_number(par)} {text(row, 'unit')})"
            if quantity is None and par is not None
            else "the quantity must be above zero"
        )
        return not_found(f"I ordered nothing: {why}.")
    expected = today + timedelta(days=int(number(row, "lead_days") or 2))
    order_id = next_id(await deps.state.items(ORDERS), "ORD")
    order: Row = {
        "item": key,
        "quantity": wanted,
        "unit": text(row, "unit"),
        "supplier": text(row, "supplier"),
        "status": "ordered",
        "ordered_on": today.isoformat(),
        "ordered_by": deps.user_id,
        "expected_on": expected.isoformat(),
    }
    await deps.state.put(ORDERS, order_id, order)
    said = f"I placed order {order_id}: {say_number(wanted)} {text(row, 'unit')} of {text(row, 'name')} from {text(row, 'supplier', 'the supplier')}"
    return told(f"{said}, expected on {say_day(expected, today)}.", [(order_id, order)])


async def list_orders(ctx: RunContext[OperationsDeps], item: str = "all") -> Outcome:
    """List open orders and deliveries with their expected date.

    Use for: "what deliveries are coming"; "when do the buns arrive"; "is the fries order on its way"; "show open orders"; "status of ORD-0001"

    Args:
        item: stock item, supplier or order id to narrow the list to, or `all`.
    """
    deps, today = ctx.deps, ctx.deps.now().date()
    rows = {key: row for key, row in (await deps.state.items(ORDERS)).items() if text(row, "status") != "received"}
    stock = await deps.state.items(INVENTORY)
    meant = {key for key, _ in find(item, stock)} if item.strip().lower() != "all" else set[str]()
    found = find(item, rows, fields=("supplier",), whole=True) or [
        one for one in rows.items() if not meant or text(one[1], "item") in meant
    ]
    if not found:
        what = f" for {names_of([(key, stock[key]) for key in sorted(meant)])}" if meant else ""
        return not_found(f"No order is open{what}.")
    lines: list[str] = []
    for key, row in found:
        expected = day(row, "expected_on")
        when = f", expected on {say_day(expected, today)}" if expected else ""
        name = text(stock.get(text(row, "item"), {}), "name", text(row, "item"))
        amount = f"{say_number(number(row, 'quantity') or 0)} {text(row, 'unit')}"
        lines.append(f"{key}: {amount} of {name} from {text(row, 'supplier', 'the supplier')}{when}")
    return told(f"{count(len(found), 'open order')}. {'; '.join(lines)}.", found)


async def _one(deps: TurnDeps, item: str, tool: str) -> Keyed | Outcome:
    rows = await deps.state.items(INVENTORY)
    found = mentioned(item, rows) or find(item, rows)
    if len(found) == 1:
        return found[0]
    if not found:
        return await _unknown(deps, item)
    ask = NextQuestion(tool=tool, argument="item", question=f"Which one do you mean: {names_of(found, joint='or')}?")
    return not_found("More than one stock item fits.", ask=ask)


async def _unknown(deps: TurnDeps, item: str) -> Outcome:
    rows = await deps.state.items(INVENTORY)
    return not_found(f"I found no stock item that fits {item!r}. Stock items: {names_of(list(rows.items())) or 'none'}.")


def _is_low(row: Row) -> bool:
    have, point = number(row, "on_hand"), number(row, "reorder_at")
    return have is not None and point is not None and have <= point


def _level(key: str, row: Row, orders: dict[str, Row]) -> str:
    have, point, unit = number(row, "on_hand"), number(row, "reorder_at"), text(row, "unit")
    amount = f"{say_number(have)} {unit} on hand" if have is not None else "not counted yet"
    said = f"{text(row, 'name')}: {amount}"
    if point is not None:
        said += f", reorder point {say_number(point)}, {'time to reorder' if _is_low(row) else 'enough for now'}"
    coming = [
        order_id for order_id, order in orders.items() if text(order, "item") == key and text(order, "status") != "received"
    ]
    return f"{said}{f', on order with {coming[-1]}' if coming else ''}."
