"""Guest complaints and quality checks of what guests see and eat."""

from __future__ import annotations

from pydantic_ai import RunContext

from assistant.packs.qsr.deps import OperationsDeps
from assistant.packs.qsr.tools.matching import find, says
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.phrases import count, say_day, say_number, sentence
from assistant.packs.qsr.tools.replies import agrees, declines, is_bare_request, matter_of
from assistant.packs.qsr.tools.rows import Row, day, next_id, number, text

COMPLAINTS = "complaints"
QUALITY = "quality_checks"
PASS_SCORE = 85
RECENT = 5
TOPICS: dict[str, tuple[str, ...]] = {
    "wrong order": ("wrong order", "wrong", "missing", "forgot", "incorrect", "mix up"),
    "wait": ("slow", "wait", "waited", "waiting", "long", "line", "minutes"),
    "food quality": ("cold", "raw", "undercooked", "stale", "burnt", "soggy", "hair", "taste", "salty", "old"),
    "staff": ("rude", "attitude", "ignored", "unfriendly", "yelled"),
    "cleanliness": ("dirty", "restroom", "trash", "sticky", "mess", "smell"),
    "money": ("overcharged", "refund", "charged", "change", "price"),
}


async def log_complaint(ctx: RunContext[OperationsDeps], what: str) -> Outcome:
    """Log a guest complaint.

    Use for: "log a complaint, a guest waited 15 minutes in the drive-thru"; "a customer says the fries were cold, write it down"
    "record that a guest got the wrong order"; "guest complained about a dirty table"

    Args:
        what: complaint of the guest, in the user's words.
    """
    deps = ctx.deps
    if declines(what):
        return told("All right, I logged no complaint.")
    if agrees(what) or is_bare_request(what):
        ask = NextQuestion(tool="log_complaint", argument="what", question="What did the guest complain about?")
        return not_found("I will log it.", ask=ask)
    topic = next((name for name, words in TOPICS.items() if says(what, words)), "other")
    key = next_id(await deps.state.items(COMPLAINTS), "CMP")
    row: Row = {
        "what": matter_of(what),
        "topic": topic,
        "status": "open",
        "logged_at": deps.now().isoformat(timespec="minutes"),
        "logged_by": deps.user_id,
    }
    await deps.state.put(COMPLAINTS, key, row)
    return told(f"I logged complaint {key} under {topic}: {sentence(matter_of(what))}", [(key, row)])


async def list_complaints(ctx: RunContext[OperationsDeps], topic: str = "open") -> Outcome:
    """List guest complaints that are open, or those on a topic.

    Use for: "which complaints are open"; "what did guests complain about this week"; "any complaints about slow service"; "show CMP-0002"

    Args:
        topic: id or subject to narrow the list to; `open` for all open ones.
    """
    rows = await ctx.deps.state.items(COMPLAINTS)
    narrowed = find(topic, rows, fields=("topic",), whole=True) or [
        item
        for item in rows.items()
        if any(says(topic, words) for name, words in TOPICS.items() if name == text(item[1], "topic"))
    ]
    found = narrowed or [item for item in rows.items() if text(item[1], "status", "open") == "open"]
    if not found:
        return told("No guest complaint is open.")
    lines: list[str] = []
    for key, row in found:
        when = day(row, "logged_at")
        said = f" on {say_day(when)}" if when else ""
        lines.append(
            f"{key} ({text(row, 'topic', 'other')}, {text(row, 'status', 'open')}){said}: {text(row, 'what').rstrip('.')}"
        )
    head = count(len(found), "complaint" if narrowed else "open complaint").capitalize()
    return told(f"{head}. {'; '.join(lines)}.", found)


async def record_quality_check(ctx: RunContext[OperationsDeps], area: str, score: float) -> Outcome:
    """Record the score of a quality check, from 0 to 100 points.

    Use for: "quality check of the burgers, 92 points"; "record a score of 78 for the drive-thru"; "the fries scored 88 in the taste check"
    "log a lobby cleanliness check with 95"

    Args:
        area: area or product that was checked, in the user's words.
        score: score in points out of 100.
    """
    deps = ctx.deps
    if not 0 <= score <= 100:
        return not_found(f"A quality score is between 0 and 100, so I did not record {say_number(score)}.")
    key = next_id(await deps.state.items(QUALITY), "QC")
    row: Row = {
        "area": area,
        "score": score,
        "passed": score >= PASS_SCORE,
        "checked_at": deps.now().isoformat(timespec="minutes"),
        "checked_by": deps.user_id,
    }
    await deps.state.put(QUALITY, key, row)
    verdict = "passed" if score >= PASS_SCORE else f"below the pass mark of {PASS_SCORE}, so correct it and check again"
    return told(
        f"I recorded quality check {key}: {area.rstrip('.')}, {say_number(score)} of 100 points, {verdict}.", [(key, row)]
    )


async def list_quality_checks(ctx: RunContext[OperationsDeps], area: str = "all") -> Outcome:
    """List the latest quality checks with their scores.

    Use for: "what were the last quality scores"; "how did the fries do in the quality checks"; "which quality checks failed"; "show recent quality checks"

    Args:
        area: area or product to narrow the list to, `failed`, or `all`.
    """
    rows = await ctx.deps.state.items(QUALITY)
    if "fail" in area.lower():
        found = [item for item in rows.items() if item[1].get("passed") is False]
    else:
        named = find(area, {text(row, "area"): row for row in rows.values()}, fields=("area",))
        areas = {text(row, "area") for _, row in named}
        found = [item for item in rows.items() if not areas or text(item[1], "area") in areas]
    if not found:
        return not_found("No quality check fits that.")
    found.sort(key=lambda item: (text(item[1], "checked_at"), item[0]), reverse=True)
    shown = found[:RECENT]
    lines: list[str] = []
    for key, row in shown:
        when = day(row, "checked_at")
        said = f" on {say_day(when)}" if when else ""
        verdict = "failed" if row.get("passed") is False else "passed"
        lines.append(f"{key}{said}: {text(row, 'area').rstrip('.')}, {say_number(number(row, 'score') or 0)} points, {verdict}")
    return told(f"The latest {count(len(shown), 'quality check')}. {'; '.join(lines)}.", shown)
