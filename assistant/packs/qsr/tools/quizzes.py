"""Quizzes, one question at a time; the place in the quiz is kept in the collection `quiz_runs`, by thread."""

from __future__ import annotations

import re

from pydantic_ai import RunContext

from assistant.deps import TurnDeps
from assistant.packs.qsr.deps import TrainingDeps
from assistant.packs.qsr.tools.matching import find, says, words
from assistant.packs.qsr.tools.outcome import NextQuestion, Outcome, not_found, told
from assistant.packs.qsr.tools.people import everyone_named, name_of
from assistant.packs.qsr.tools.phrases import count, names_of, say_day, say_number
from assistant.packs.qsr.tools.rows import Row, day, next_id, number, records, text, texts
from assistant.packs.qsr.tools.thread import keep
from assistant.packs.qsr.tools.whom import NAME_QUESTION, person_meant, someone_meant, user_known, whose

QUIZZES = "quizzes"
RUNS = "quiz_runs"
RESULTS = "quiz_results"
PASS_PCT = 80.0
RECENT = 5
MISSED = ("missed a critical", "missed one critical", "missed the critical", "critical question wrong", "failed a critical")
STOPS = ("stop the quiz", "stop", "quit", "cancel", "end the quiz", "no more questions")


async def start_quiz(ctx: RunContext[TrainingDeps], topic: str) -> Outcome:
    """Start a quiz on a topic and ask its first question.

    Use for: "quiz me on food safety"; "start the allergen quiz"; "test Chloe on hand washing"; "I want to take a quiz"; "give me the fryer safety test"

    Args:
        topic: topic of the quiz, in the user's words. Keep who takes it in these words when it is not the user.
    """
    deps = ctx.deps
    rows = await deps.state.items(QUIZZES)
    if not rows:
        return not_found("No quizzes are set up.")
    before = await deps.state.get(RUNS, deps.thread_id) or {}
    wanted = before if text(before, "status") == "choosing" else {}
    found = find(topic, rows) or [item for item in rows.items() if item[0] == text(wanted, "quiz")]
    quiz = found[0][0] if len(found) == 1 else ""
    taker = await _taker(deps, topic, wanted, known=bool(quiz))
    if not isinstance(taker, str):
        await deps.state.put(RUNS, deps.thread_id, {"quiz": quiz or None, "person": None, "status": "choosing"})
        return taker
    if not quiz:
        await deps.state.put(RUNS, deps.thread_id, {"quiz": None, "person": taker or None, "status": "choosing"})
        question = f"Which quiz: {names_of(found or list(rows.items()), joint='or')}?"
        return not_found("I have several quizzes.", ask=NextQuestion(tool="start_quiz", argument="topic", question=question))
    questions = records(rows[quiz], "questions")
    row: Row = {"quiz": quiz, "person": taker or None, "asked": 0, "correct": 0, "missed_critical": 0, "status": "open"}
    await deps.state.put(RUNS, deps.thread_id, row)
    lead = f"{text(rows[quiz], 'name')} quiz, {count(len(questions), 'question')}; {_rule(rows[quiz])}."
    lead += "" if taker else " I do not have your name, so I will ask for it before I file the score."
    return told(f"{lead} Question 1:", [(deps.thread_id, row)], ask=_question(questions[0]))


async def answer_quiz(ctx: RunContext[TrainingDeps], answer: str) -> Outcome:
    """Record the user's answer to the last question of the open quiz, say whether it is right and ask the next question.

    Use for: "165 degrees"; "my answer is B"; "20 seconds"; "I think it is the sesame"; "true"

    Args:
        answer: answer to the last question, in the user's words.
    """
    deps = ctx.deps
    row = await deps.state.get(RUNS, deps.thread_id)
    if row is None or text(row, "status") != "open":
        return not_found("No quiz is open in this conversation. Name a topic and I will start one.")
    quiz = await deps.state.get(QUIZZES, text(row, "quiz")) or {}
    questions = records(quiz, "questions")
    at = int(number(row, "asked") or 0)
    if says(answer, STOPS) or at >= len(questions):
        row["status"] = "stopped"
        await deps.state.put(RUNS, deps.thread_id, row)
        return told(
            f"I stopped the quiz after {at} of {count(len(questions), 'question')}. No score was recorded.",
            [(deps.thread_id, row)],
        )
    right = is_right(answer, questions[at])
    critical = questions[at].get("critical") is True and not right
    row |= {"asked": at + 1, "correct": int(number(row, "correct") or 0) + right}
    row["missed_critical"] = int(number(row, "missed_critical") or 0) + critical
    verdict = "Right." if right else f"Not right: the answer is {text(questions[at], 'answer')}."
    if at + 1 < len(questions):
        await deps.state.put(RUNS, deps.thread_id, row)
        return told(f"{verdict} Question {at + 2}:", [(deps.thread_id, row)], ask=_question(questions[at + 1]))
    return await _end(deps, row, quiz, verdict)


async def record_quiz_score(ctx: RunContext[TrainingDeps], person: str, quiz: str, score_pct: float) -> Outcome:
    """Record the score of a quiz or test that a person took on paper.

    Use for: "Chloe scored 85 percent on the food safety quiz"; "record 90 for Jamal in the allergen test"; "put in Tomas's fryer safety score, 70 %"

    Args:
        person: name of the team member. Their own words, such as `my` or `his`, when nobody is named.
        quiz: name of the quiz, in the user's words.
        score_pct: score in percent.
    """
    deps = ctx.deps
    who = await person_meant(deps, person, "record_quiz_score")
    if not isinstance(who, tuple):
        return who
    if not 0 <= score_pct <= 100:
        return not_found(f"A score is between 0 and 100 percent, so I did not record {say_number(score_pct)}.")
    rows = await deps.state.items(QUIZZES)
    found = find(quiz, rows)
    if len(found) != 1:
        ask = NextQuestion(
            tool="record_quiz_score", argument="quiz", question=f"Which quiz was it: {names_of(list(rows.items()), joint='or')}?"
        )
        return not_found("I could not tell the quiz.", ask=ask)
    taken = await _unfiled(deps, found[0][0], score_pct)
    missed = number(taken, "missed_critical") or 0 if taken else says(quiz, MISSED)
    key, result = await _store(deps, Row(person=who[0], quiz=found[0][0], missed_critical=int(missed)), score_pct)
    if taken:
        await deps.state.put(RUNS, deps.thread_id, taken | {"person": who[0]})
    verdict = _verdict(result)
    if not taken and result["passed"] and _has_critical(found[0][1]):
        verdict += " as long as every critical question was right"
    said = f"I recorded {key}: {text(who[1], 'name')}, {text(found[0][1], 'name')} quiz, {say_number(score_pct)} %, {verdict}."
    return told(said, [(key, result)])


async def list_quiz_scores(ctx: RunContext[TrainingDeps], person_or_quiz: str = "all") -> Outcome:
    """List the latest quiz scores of a person, of a quiz, or of everyone.

    Use for: "what did Chloe score on her quizzes"; "show the latest quiz results"; "who failed the food safety quiz"; "my quiz scores"

    Args:
        person_or_quiz: person, quiz or both, in the user's words, or `all`.
    """
    deps = ctx.deps
    rows, quizzes = await deps.state.items(RESULTS), await deps.state.items(QUIZZES)
    who = await someone_meant(deps, person_or_quiz, "list_quiz_scores", "person_or_quiz")
    if who is not None and not isinstance(who, tuple):
        return who
    topics = {key for key, _ in find(person_or_quiz, quizzes)}
    found = [item for item in rows.items() if (who is None or text(item[1], "person") == who[0])]
    found = [item for item in found if not topics or text(item[1], "quiz") in topics]
    if not found:
        return not_found(f"No quiz score is recorded{' for ' + text(who[1], 'name') if who else ''}.")
    found.sort(key=lambda item: (text(item[1], "taken_on"), item[0]), reverse=True)
    shown = found[:RECENT]
    lines: list[str] = []
    for _, row in shown:
        taken = day(row, "taken_on")
        name = text(quizzes.get(text(row, "quiz"), {}), "name", text(row, "quiz"))
        verdict = "passed" if row.get("passed") else "not passed"
        said = f"{await name_of(deps, text(row, 'person'))}, {name}: {say_number(number(row, 'score_pct') or 0)} % ({verdict})"
        lines.append(f"{said} on {say_day(taken)}" if taken else said)
    return told(f"Quiz scores. {'; '.join(lines)}.", shown)


def is_right(answer: str, question: Row) -> bool:
    """Whether the answer names the option's letter or holds one of the accepted answers, numbers compared as numbers."""
    options, right = texts(question, "options"), text(question, "answer")
    letter = re.fullmatch(r"\W*(?:answer|option|my answer is|it is|its)?\s*([a-e])\W*", answer.strip().lower())
    if letter and options:
        place = ord(letter[1]) - ord("a")
        return place < len(options) and options[place] == right
    return any(_holds(answer, accepted) for accepted in [right, *texts(question, "accept")])


def _holds(answer: str, accepted: str) -> bool:
    wanted, given = words(accepted), words(answer)
    numbers = [word for word in wanted if word.isdigit()]
    if numbers:
        return numbers[0] in given
    return bool(wanted) and set(wanted) <= set(given)


def _question(question: Row) -> NextQuestion:
    options = texts(question, "options")
    listed = " ".join(f"{chr(ord('A') + place)}) {option}" for place, option in enumerate(options))
    asked = f"{text(question, 'question')} {listed}".strip()
    return NextQuestion(tool="answer_quiz", argument="answer", question=asked)


async def _taker(deps: TurnDeps, topic: str, wanted: Row, *, known: bool) -> str | Outcome:
    """Key of who takes the quiz, empty for a user whose name is not known; else the question for it. `known`: the quiz is named too,
    so a name that is nobody's is a person and not a topic."""
    spoken = whose(topic, only_names=False)
    named = await everyone_named(deps, topic)
    if named or spoken == "other" or (known and spoken != "self"):
        who = await someone_meant(deps, topic, "start_quiz", "topic")
        if who is not None:
            return who[0] if isinstance(who, tuple) else who
    user = await user_known(deps)
    return ("" if spoken == "self" else text(wanted, "person")) or (user[0] if user else "")


async def _end(deps: TurnDeps, row: Row, quiz: Row, verdict: str) -> Outcome:
    score = 100 * (number(row, "correct") or 0) / len(records(quiz, "questions"))
    row |= {"status": "finished", "score_pct": score}
    await deps.state.put(RUNS, deps.thread_id, row)
    said = f"{text(row, 'correct')} of {text(row, 'asked')} right, {say_number(score)} %"
    if not text(row, "person"):
        await keep(deps, name_asked_by="record_quiz_score")
        result = _verdict({"passed": _passes(row, score), "score_pct": score})
        arguments: Row = {"quiz": text(quiz, "name"), "score_pct": score}
        ask = NextQuestion(tool="record_quiz_score", argument="person", question=NAME_QUESTION, arguments=arguments)
        lead = f"{verdict} That was the last question. You have {said}: {result}. I have not filed the score, because I do not have your name."
        return told(lead, [(deps.thread_id, row)], ask=ask)
    key, result = await _store(deps, row, score)
    name = await name_of(deps, text(row, "person"))
    lead = f"{verdict} That was the last question. {name} has {said}: {_verdict(result)}."
    return told(f"{lead} I recorded the score as {key}.", [(key, result)])


async def _unfiled(deps: TurnDeps, quiz: str, score: float) -> Row:
    """The quiz just taken in this conversation by somebody without a name, when the score told is its score."""
    row = await deps.state.get(RUNS, deps.thread_id) or {}
    open_end = text(row, "status") == "finished" and not text(row, "person")
    return row if open_end and text(row, "quiz") == quiz and number(row, "score_pct") == score else {}


async def _store(deps: TurnDeps, taken: Row, score: float) -> tuple[str, Row]:
    key = next_id(await deps.state.items(RESULTS), "QUIZ")
    result: Row = {
        "person": taken["person"],
        "quiz": taken["quiz"],
        "score_pct": round(score, 1),
        "passed": _passes(taken, score),
    }
    result |= {"taken_on": deps.now().date().isoformat(), "recorded_by": deps.user_id}
    await deps.state.put(RESULTS, key, result)
    return key, result


def _passes(taken: Row, score: float) -> bool:
    return score >= PASS_PCT and not number(taken, "missed_critical")


def _verdict(result: Row) -> str:
    if result["passed"]:
        return "passed"
    enough = (number(result, "score_pct") or 0) >= PASS_PCT
    return "not passed yet" + (", because a critical question was wrong" if enough else "")


def _has_critical(quiz: Row) -> bool:
    return any(question.get("critical") is True for question in records(quiz, "questions"))


def _rule(quiz: Row) -> str:
    return f"{say_number(PASS_PCT)} % {'with every critical question right ' if _has_critical(quiz) else ''}is a pass"
