"""Simulated users: scripted ones decide from the answers alone, models are driven over a real socket, and their faults are their own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi import FastAPI

from assistant.models.mock_server import MockProfile, create_mock_app
from evals.cards import Card
from evals.catalog import read_card
from evals.cli.eval import evaluate
from evals.cli.models import user_of
from evals.conversation import Talker
from evals.experiment import judge
from evals.goals import Goal
from evals.loading import loadable
from evals.plan import PlannedPlay
from evals.scoring import play_states
from evals.selfcheck import solution_faults
from evals.serving import served_assistant
from evals.simulation.faults import message_fault
from evals.simulation.progress import how_ended, tree_reply
from evals.simulation.session import converse
from evals.simulation.users import PROMPT, Move, SimulatedUser, move_of
from evals.suites import CardRun, SuiteResult, run_cards
from evals.targets.callable import CallableTarget
from evals.targets.opening import TargetSpec, open_target, parse_target, private_environ
from evals.targets.replay import ReplayTarget
from evals.targets.scripted import scripted_transcript
from evals.targets.simulated import SimulatedTarget, playable
from evals.transcript import Transcript, Turn, transcript_from_json, transcript_to_json
from reports.records import Slot

Serve = Callable[[FastAPI], str]
MakeCard = Callable[..., Card]
GOAL: dict[str, Any] = {
    "wants": "The walk-in cooler is in the log",
    "facts": ["It is the walk-in cooler", "It reads 39 F"],
    "reached": {"say": ["TMP-1"]},
    "max_turns": 4,
    "tree": {
        "replies": [{"when": ["which unit"], "say": "the walk-in cooler"}, {"when": ["reading"], "say": "39 F"}],
        "otherwise": "just write it down",
    },
}
GOAL_CARD: dict[str, Any] = {
    "id": "log-it",
    "goal": GOAL,
    "turns": [{"user": "log a temperature", "expect": {"say": ["TMP-1", "39 F"], "not_say": ["guess"]}}],
    "expect_state": {},
    "reference": {"turns": [{"text": "Which unit?"}, {"text": "What is the reading?"}, {"text": "Logged 39 F as TMP-1."}]},
    "sabotage": {"fails": "goal", "turns": {3: {"text": "All fine at 39 F."}}},
}


def goal_card(make_card: MakeCard, **changes: Any) -> Card:
    return make_card(**{**GOAL_CARD, **changes})


def with_goal(make_card: MakeCard, **changes: Any) -> Card:
    return goal_card(make_card, goal={**GOAL, **changes})


def clerk(message: str, history: list[tuple[str, str]]) -> str:
    """An assistant that asks for what is missing and then writes it down."""
    said = " ".join([*(user for user, _ in history), message])
    if "cooler" not in said:
        return "Which unit?"
    return "Logged 39 F as TMP-1." if "39" in said else "What is the reading?"


def stubborn(message: str, history: list[tuple[str, str]]) -> str:
    return "Which unit?"


def judged(card: Card, transcript: Transcript) -> dict[str, Slot]:
    from evals.evaluators.table import checks_for, measurable

    checks = [check for check in checks_for(card) if measurable(check, transcript.visible)]
    return {slot.evaluator: slot for slot in judge(PlannedPlay(card=card, repeat=0, checks=checks), transcript)}


async def play(card: Card, assistant: Any, user: SimulatedUser | None = None) -> Transcript:
    return await SimulatedTarget(CallableTarget(assistant), user or SimulatedUser()).play(card, 0)


async def test_a_script_answers_what_it_is_asked_until_the_goal_is_reached(make_card: MakeCard) -> None:
    card = goal_card(make_card)
    transcript = await play(card, clerk)
    assert [turn.user for turn in transcript.turns] == ["log a temperature", "the walk-in cooler", "39 F"]
    assert (transcript.ended, transcript.fault) == ("reached", None)
    assert {name: slot.state for name, slot in judged(card, transcript).items()} == dict.fromkeys(
        ("answered", "goal", "say", "not_say", "seamless"), "pass"
    )


async def test_an_assistant_that_goes_in_circles_fails_its_goal_and_the_simulator_is_not_blamed(make_card: MakeCard) -> None:
    card = goal_card(make_card)
    transcript = await play(card, stubborn)
    slots = judged(card, transcript)
    assert (transcript.ended, len(transcript.turns)) == ("max_turns", 4)
    assert (slots["goal"].state, slots["goal"].stage) == ("fail", "model")
    assert slots["goal"].reason == "the goal is not reached in as many turns as the card allows"


async def test_what_holds_of_the_conversation_is_looked_for_in_all_of_it(make_card: MakeCard) -> None:
    def guesses(message: str, history: list[tuple[str, str]]) -> str:
        return "I guess it is the cooler. Which unit?" if not history else clerk(message, history)

    slots = judged(goal_card(make_card), await play(goal_card(make_card), guesses))
    assert {name: slot.state for name, slot in slots.items() if slot.state != "pass"} == {"not_say": "fail"}


async def test_a_script_without_a_fitting_reply_is_the_simulators_fault_in_every_slot(make_card: MakeCard) -> None:
    card = with_goal(make_card, tree={"replies": [{"when": ["reading"], "say": "39 F"}]})
    transcript = await play(card, stubborn)
    assert transcript.fault == "simulator_error"
    assert transcript.fault_reason == "simulated user (tree): its tree has no reply to 'Which unit?'"
    slots = judged(card, transcript)
    assert {slot.state for slot in slots.values()} == {"simulator_error"} and slots["goal"].stage is None
    assert play_states(list(slots.values())) == {("log-it", 0): "unjudged"}


async def test_what_the_assistant_does_wrong_stays_its_own_failure(make_card: MakeCard) -> None:
    def crashes(message: str, history: list[tuple[str, str]]) -> str:
        raise ValueError("boom")

    transcript = await play(goal_card(make_card), crashes)
    assert (transcript.fault, transcript.ended) == ("agent_error", None)

    async def broken(message: str, history: list[tuple[str, str]]) -> Mapping[str, Any]:
        return {"text": "", "error": "no answer came"}

    card = goal_card(make_card)
    transcript = await play(card, broken)
    assert (transcript.fault, len(transcript.turns)) == (None, 1)
    assert {slot.state for slot in judged(card, transcript).values()} == {"agent_error"}


def test_a_tree_may_branch_and_goes_on_from_its_branch() -> None:
    deeper = {"replies": [{"when": ["what else"], "say": "second"}]}
    goal = Goal.model_validate(
        {**GOAL, "tree": {"replies": [{"when": ["evidence"], "say": "first", "then": deeper}], "otherwise": "hm"}}
    )
    assert goal.tree is not None
    assert [
        tree_reply(goal.tree, answers)
        for answers in (["evidence?"], ["hello"], ["evidence?", "What else?"], ["evidence?", "bye"])
    ] == [
        "first",
        "hm",
        "second",
        None,
    ]


def test_a_goal_is_reached_in_words_and_state_together() -> None:
    goal = Goal.model_validate({**GOAL, "reached": {"say": [["TMP-1", "TMP-2"]], "state": {"log": [{"reading": 39}]}}})
    turns = [Turn(user="u", text="Logged as TMP-2.")]
    assert how_ended(goal, turns, {"log": {"a": {"reading": 39}}}) == "reached"
    assert how_ended(goal, turns, {"log": {"a": {"reading": 40}}}) is how_ended(goal, turns, None) is None
    assert how_ended(goal, turns * 4, None) == "max_turns"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"turns": GOAL_CARD["turns"] * 2}, "goal: a simulated user begins with one turn"),
        ({"goal": {**GOAL, "reached": {}}}, "names neither `say` nor `state`"),
        ({"goal": {**GOAL, "tree": {}}}, "has neither `replies` nor `otherwise`"),
        ({"sabotage": {"fails": "goal", "turns": {4: {"text": "x"}}}}, "use 1 to 3"),
    ],
)
def test_goal_cards_that_make_no_sense_are_named(make_card: MakeCard, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        goal_card(make_card, **changes)


def test_reference_sabotage_and_script_of_a_goal_card_are_checked_together(make_card: MakeCard) -> None:
    assert solution_faults(goal_card(make_card)) == []
    chatty = {"turns": [*GOAL_CARD["reference"]["turns"], {"text": "Anything else?"}]}
    assert solution_faults(goal_card(make_card, reference=chatty)) == [
        "card log-it: reference has 4 turns, the simulated user stops after 3"
    ]
    harmless = solution_faults(goal_card(make_card, sabotage={"fails": "goal"}))
    assert harmless == ["card log-it: sabotage is not caught by `goal` (caught by: nothing)"]
    knowing = {"replies": [{"when": ["which unit"], "say": "write TMP-1"}], "otherwise": "it reads 41 F"}
    faults = solution_faults(with_goal(make_card, tree=knowing))
    assert [fault for fault in faults if "goal.tree" in fault] == [
        "card log-it: field `goal.tree`: 'write TMP-1' reveals the expected answer: 'TMP-1'; add it to `facts` or say it otherwise",
        "card log-it: field `goal.tree`: 'it reads 41 F' makes up a figure nobody gave it: 41; add it to `facts` or say it otherwise",
    ]
    mute = scripted_transcript(
        with_goal(make_card, tree={"replies": [{"when": ["no such"], "say": "x"}]}), goal_card(make_card).reference
    )
    assert mute.fault == "simulator_error"
    plain = scripted_transcript(with_goal(make_card, tree=None), goal_card(make_card).reference)
    assert [turn.user for turn in plain.turns] == ["log a temperature", "And?", "And?"] and plain.ended == "reached"


def test_load_tests_leave_goal_cards_out(make_card: MakeCard) -> None:
    assert [card.id for card in loadable([goal_card(make_card), make_card()])] == ["hold-chicken"]


def test_what_cannot_be_played_is_listed_with_the_reason(make_card: MakeCard) -> None:
    plain, stateful = with_goal(make_card, tree=None), with_goal(make_card, reached={"state": {"log": [{"a": 1}]}})
    stateful = stateful.model_copy(update={"id": "stateful"})
    target = CallableTarget(clerk)
    assert isinstance(target, Talker)
    assert playable([make_card(), plain, stateful], target, SimulatedUser()) == (
        [make_card()],
        {
            "goal without a tree": "only a model can play this user; give --user-model MODEL (1 cards: log-it)",
            "goal in the state": "this target does not show its state, where the goal would be reached (1 cards: stateful)",
        },
    )


async def test_a_recording_of_a_goal_card_is_played_as_it_was(make_card: MakeCard) -> None:
    card = goal_card(make_card)
    recorded = transcript_from_json(json.loads(json.dumps(transcript_to_json(await play(card, clerk)))))
    target = SimulatedTarget(ReplayTarget("run", [recorded]), SimulatedUser())
    assert await target.play(card, 0) == recorded and recorded.ended == "reached"
    changed = goal_card(make_card, turns=[{"user": "write a temperature down"}])
    assert "the user begins otherwise now" in (await target.play(changed, 0)).fault_reason


def model_user(url: str) -> SimulatedUser:
    return user_of("openai-chat:mock", {"HOME": "/nowhere", "ASSAY_OPENAI_BASE_URL": url})


def reply(words: str) -> MockProfile:
    return MockProfile(content="fixed", reply=words)


def one_question(message: str, history: list[tuple[str, str]]) -> str:
    return "Logged 39 F as TMP-1." if history else "Which unit, and what is the reading?"


async def talk(serve: Serve, profile: MockProfile, card: Card, assistant: Any = one_question) -> tuple[Transcript, FastAPI]:
    app = create_mock_app(profile)
    user = model_user(serve(app))
    assert user.model is not None
    async with user.model:
        return await converse(CallableTarget(assistant), card, 0, user), app


async def test_a_model_plays_the_user_over_a_socket_and_never_sees_what_is_expected(
    make_card: MakeCard, serve_app: Serve
) -> None:
    card = goal_card(make_card, persona="in a hurry")
    transcript, app = await talk(serve_app, reply('"the walk-in cooler reads 39 F"'), card)
    assert [turn.user for turn in transcript.turns] == ["log a temperature", "the walk-in cooler reads 39 F"]
    assert (transcript.ended, transcript.fault) == ("reached", None)
    [request] = app.state.requests
    told = json.dumps(request["messages"])
    assert all(
        part in told for part in ("The walk-in cooler is in the log", "in a hurry", "It reads 39 F", "what is the reading?")
    )
    assert "TMP-1" not in told


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        (reply(""), "says nothing"),
        (reply("write it down as TMP-1 please"), "reveals the expected answer: 'TMP-1'"),
        (reply("it reads 47 F in the cooler"), "makes up a figure nobody gave it: 47"),
        (reply("Sure, how can I help you today?"), "speaks as an assistant"),
        (reply("yesterday evening everybody watched football together with pizza"), "leaves the goal"),
        (reply("cooler " * 400), "says more than 2000 characters"),
        (reply("[OUT OF SCOPE]"), "it has nothing to answer with"),
        (reply("[done]"), "leaves while the assistant is asking it something"),
        (MockProfile(server_error_rate=1), "its model gave no message (ModelServerError)"),
        (MockProfile(garbage_rate=1), "its model gave no message ("),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
async def test_every_fault_of_the_simulator_is_its_own_state(
    make_card: MakeCard, serve_app: Serve, profile: MockProfile, fault: str
) -> None:
    card = goal_card(make_card)
    transcript, _ = await talk(serve_app, profile, card)
    assert transcript.fault == "simulator_error"
    assert transcript.fault_reason.startswith(f"simulated user (openai-chat:mock): {fault}")
    assert {slot.state for slot in judged(card, transcript).values()} == {"simulator_error"}


async def test_a_model_that_repeats_itself_to_another_answer_goes_in_circles(make_card: MakeCard, serve_app: Serve) -> None:
    def other_questions(message: str, history: list[tuple[str, str]]) -> str:
        return f"And {'which unit' if len(history) % 2 else 'what reading'} was it?"

    transcript, _ = await talk(serve_app, reply("it is the walk-in cooler"), goal_card(make_card), other_questions)
    assert "goes in circles: says again 'it is the walk-in cooler'" in transcript.fault_reason
    same, _ = await talk(serve_app, reply("it is the walk-in cooler"), goal_card(make_card), stubborn)
    assert (same.fault, same.ended) == (None, "max_turns")


def test_a_short_reply_may_be_said_twice_and_not_forever(make_card: MakeCard) -> None:
    card = goal_card(make_card)
    turns = [Turn(user=words, text=f"Question {n}?") for n, words in enumerate(["log a temperature", "yes"])]
    assert message_fault(card, turns, "yes") is None
    assert "goes in circles" in (message_fault(card, [*turns, Turn(user="yes", text="Another?")], "yes") or "")
    assert message_fault(card, turns, "It is the walk-in cooler") is None


async def test_a_user_who_leaves_without_the_goal_is_the_assistants_failure(make_card: MakeCard, serve_app: Serve) -> None:
    def refuses(message: str, history: list[tuple[str, str]]) -> str:
        return "I cannot do that."

    card = goal_card(make_card)
    transcript, _ = await talk(serve_app, reply("[GIVE UP]"), card, refuses)
    slots = judged(card, transcript)
    assert (transcript.ended, transcript.fault) == ("left", None)
    assert (slots["goal"].state, slots["goal"].reason) == ("fail", "the user leaves before the goal is reached")


def test_control_words_are_a_closed_set() -> None:
    assert [move_of(words).act for words in ("[DONE]", "Thanks! [done]", "[Give up]", "[OUT OF SCOPE]", "[MAYBE]")] == [
        "done",
        "done",
        "give_up",
        "lost",
        "say",
    ]
    assert move_of("hello") == Move(act="say", words="hello")
    assert all(word in PROMPT for word in ("[DONE]", "[GIVE UP]", "[OUT OF SCOPE]"))


async def run(card: Card, tmp_path: Path, user: SimulatedUser, monkeypatch: pytest.MonkeyPatch) -> SuiteResult:
    (tmp_path / "clerk_for_goals.py").write_text(
        "def answer(message, history):\n    return 'Logged 39 F as TMP-1.' if history else 'Which unit, and what is the reading?'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    target = TargetSpec(kind="python", rest="clerk_for_goals:answer")
    return await run_cards(
        [card], CardRun(pack="qsr", target=target, folder=tmp_path / user.name[:4], environ={}, user=user), lambda *_: None
    )


async def test_a_run_names_who_played_the_user(
    make_card: MakeCard, tmp_path: Path, serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = await run(goal_card(make_card), tmp_path, SimulatedUser(), monkeypatch)
    assert scripted.tables["simulated_user"] == {"user": "tree"} and "simulated_user" not in scripted.digests
    url = serve_app(create_mock_app(reply("the walk-in cooler reads 39 F")))
    modelled = await run(goal_card(make_card), tmp_path, model_user(url), monkeypatch)
    assert modelled.tables["simulated_user"] == {"user": "openai-chat:mock"}
    assert {"simulated_user", "simulated_user.prompt"} <= modelled.digests.keys()
    assert {slot.state for slot in [*scripted.slots, *modelled.slots]} == {"pass"}


async def test_a_shipped_goal_card_reaches_its_goal_in_the_state_in_process_and_served(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    card = read_card(root / "datasets/qsr/scenarios/operations/buns-count-in-pieces.yaml")
    environ = private_environ(os.environ, tmp_path / "store")
    with served_assistant(["--sandboxes"], environ=environ, log=tmp_path / "log") as served:
        async with open_target(parse_target(served.url), pack="qsr", environ=os.environ, store=tmp_path / "x") as remote:
            over_http = await SimulatedTarget(remote, SimulatedUser()).play(card, 0)
    async with open_target(parse_target("inprocess"), pack="qsr", environ=os.environ, store=tmp_path / "y") as local:
        at_home = await SimulatedTarget(local, SimulatedUser()).play(card, 0)
    assert [turn.text for turn in over_http.turns] == [turn.text for turn in at_home.turns]
    assert (over_http.ended, at_home.ended, len(at_home.turns)) == ("reached", "reached", 3)
    assert {slot.state for slot in judged(card, at_home).values()} == {"pass"}


def test_the_command_line_counts_the_simulators_faults_apart(
    tmp_path: Path, serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mute_clerk.py").write_text("def answer(message, history):\n    return 'What is the reading?'\n")
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ASSAY_OPENAI_BASE_URL", serve_app(create_mock_app(reply(""))))
    arguments = ["--card", "temperature-asked-twice", "--target", "python:mute_clerk:answer"]
    shown = CliRunner().invoke(evaluate, [*arguments, "--user-model", "openai-chat:mock"], standalone_mode=False)
    assert shown.return_value == 1 and shown.exception is None
    assert shown.stdout.splitlines()[-1] == "0 / 1 planned plays passed (0 of 5 checks); not judged: 1 simulator_error"
    scripted = CliRunner().invoke(evaluate, arguments, standalone_mode=False)
    assert "goal: the goal is not reached" in scripted.stdout and "not judged" not in scripted.stdout
