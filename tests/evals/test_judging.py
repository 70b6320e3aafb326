"""A model as judge, asked over a real socket: what becomes a verdict, what does not, and what its verdicts may decide."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from fastapi import FastAPI

from assistant.models.mock_server import MockProfile, create_mock_app
from evals.cards import Card
from evals.cli.judge import judge as judge_command
from evals.cli.models import judge_of, judged_lines, user_of
from evals.errors import UsageError
from evals.evaluators.table import checks_for
from evals.experiment import judge as judge_play
from evals.judging.asking import Judge, PairQuestion, Ruling, rule, rule_pair
from evals.judging.calibration import calibrate
from evals.judging.jury import Jury, load_jury, with_verdicts
from evals.judging.labels import labelled, read_labels
from evals.judging.measuring import judge_items
from evals.judging.rubrics import Rubric, harness, read_rubric, rubric_of
from evals.judging.trust import CalibrationFile
from evals.plan import PlannedPlay, plan_cards
from evals.runfiles import read_transcripts
from evals.scoring import play_states
from evals.simulation.users import ModelUser
from evals.suites import CardRun, SuiteResult, plan_digest, run_cards
from evals.targets.opening import TargetSpec
from evals.targets.scripted import scripted_transcript
from evals.transcript import Transcript, Turn, Verdict, Visible
from reports.records import Slot

ROOT = Path(__file__).resolve().parents[2]
JUDGE = ROOT / "datasets/qsr/judge"
STATEMENT = Rubric(name="clear", version=1, asks="The answer is clear.")
SCALE = Rubric(name="calm", version=1, kind="scale", asks="It is calm.", steps=["Read it."], threshold=0.75)
PAIRWISE = Rubric(name="better", version=1, kind="pair", asks="It is better.")
NAME = "openai-chat:mock"
Serve = Callable[[FastAPI], str]
MakeCard = Callable[..., Card]


def says(**arguments: Any) -> MockProfile:
    """A judge that answers in the form asked for."""
    return MockProfile(content="tool", tool_call=("final_result", arguments))


PASSES = says(**{"reason": "plain words", "pass": True, "score": 1.0})
FAILS = says(**{"reason": "beats about the bush", "pass": False, "score": 0.0})


def judge_at(url: str, **environ: str) -> Judge:
    judge = judge_of(NAME, {"HOME": "/nowhere", "ASSAY_OPENAI_BASE_URL": url, **environ})
    assert judge is not None
    return judge


async def ask(serve: Serve, profile: MockProfile, rubric: Rubric = STATEMENT) -> Ruling:
    return await asked_of(judge_at(serve(create_mock_app(profile))), rubric, ["User: how hot?"], "165 F.")


async def asked_of(judge: Judge, rubric: Rubric, conversation: list[str], answer: str) -> Ruling:
    async with judge.model:
        return await rule(judge, rubric, conversation, answer)


@pytest.mark.parametrize(
    ("profile", "rubric", "said", "score"),
    [
        (PASSES, STATEMENT, "pass", None),
        (FAILS, STATEMENT, "fail", None),
        (says(reason="calm", score=5), SCALE, "pass", 1.0),
        (says(reason="at the threshold", score=4), SCALE, "pass", 0.75),
        (says(reason="sharp", score=3), SCALE, "fail", 0.5),
    ],
)
async def test_a_verdict_is_one_of_two_words(
    serve_app: Serve, profile: MockProfile, rubric: Rubric, said: str, score: float | None
) -> None:
    ruling = await ask(serve_app, profile, rubric)
    assert (ruling.said, ruling.score, ruling.error) == (said, score, "")
    assert ruling.reason == (profile.tool_call or ("", {}))[1]["reason"]


@pytest.mark.parametrize(
    ("profile", "rubric"),
    [
        (says(**{"reason": "hm", "pass": "mostly", "score": 1.0}), STATEMENT),
        (MockProfile(content="fixed", reply="I think this passes, all in all."), STATEMENT),
        (says(reason="off the scale", score=9), SCALE),
        (MockProfile(server_error_rate=1), STATEMENT),
        (MockProfile(garbage_rate=1), STATEMENT),
        (MockProfile(api_key="sk-right"), SCALE),
    ],
    ids=["a third word", "prose", "off the scale", "outage", "garbage", "refused key"],
)
async def test_anything_else_is_no_verdict(serve_app: Serve, profile: MockProfile, rubric: Rubric) -> None:
    ruling = await ask(serve_app, profile, rubric)
    assert ruling.said is None and ruling.error.startswith("the judge gave no verdict (")


async def test_a_judge_that_takes_too_long_gives_no_verdict_and_a_key_is_never_shown(serve_app: Serve) -> None:
    slow = judge_at(serve_app(create_mock_app(MockProfile(ttft_s=2.0))))
    ruling = await asked_of(Judge(name=slow.name, model=slow.model, timeout_s=0.2), STATEMENT, ["q"], "a")
    assert ruling == Ruling(said=None, error="the judge gave no verdict within 0.2 s")
    locked = judge_at(serve_app(create_mock_app(MockProfile(api_key="right"))), OPENAI_API_KEY="sk-wrong-secret")
    refused = await asked_of(locked, STATEMENT, ["q"], "a")
    assert "HTTP 401" in refused.error and "secret" not in refused.error


async def test_the_judge_sees_the_conversation_the_answer_and_the_rubric(serve_app: Serve) -> None:
    app = create_mock_app(PASSES)
    await asked_of(judge_at(serve_app(app)), STATEMENT, ["User: how hot?", "Assistant: what?", "User: chicken"], "165 F.")
    asked = json.dumps(app.state.requests[0]["messages"])
    assert all(part in asked for part in ("User: how hot?", "User: chicken", "165 F.", "The answer is clear."))


@pytest.mark.parametrize(("better", "said"), [("first", "1"), ("second", "2"), ("both", None)])
async def test_of_a_pair_one_is_better(serve_app: Serve, better: str, said: str | None) -> None:
    reply = json.dumps({"reason": "r", "better": better})
    judge = judge_at(serve_app(create_mock_app(MockProfile(content="fixed", reply=reply))))
    async with judge.model:
        ruling = await rule_pair(judge, PAIRWISE, PairQuestion(asked="q", first="a", second="b"))
    assert ruling.said == said and bool(ruling.error) == (said is None)


async def test_a_judge_that_always_prefers_the_first_is_measured_as_biased(serve_app: Serve) -> None:
    reply = json.dumps({"reason": "r", "better": "first"})
    judge = judge_at(serve_app(create_mock_app(MockProfile(content="fixed", reply=reply))))
    pairs = read_labels(JUDGE / "pairs.jsonl")
    seen: list[tuple[int, int]] = []
    given = await judge_items(judge, PAIRWISE, pairs, repeats=1, progress=lambda d, n: seen.append((d, n)))
    found = calibrate(labelled(pairs), given, positive="1", asked=24)
    assert found.first_share is not None and found.accuracy.value == 0.5
    assert (found.first_share.value, found.errors.k, seen[-1]) == (1.0, 0, (24, 24))


async def test_pairs_want_a_pair_rubric_and_single_answers_do_not(serve_app: Serve) -> None:
    judge = judge_at("http://127.0.0.1:9")
    with pytest.raises(UsageError, match="pairs need a rubric of kind `pair`"):
        await judge_items(judge, STATEMENT, read_labels(JUDGE / "pairs.jsonl"), repeats=1)
    with pytest.raises(UsageError, match="single answers need a `statement` or `scale`"):
        await judge_items(judge, PAIRWISE, read_labels(JUDGE / "labels.jsonl"), repeats=1)


def test_the_command_asks_a_model_and_finds_one_that_always_passes_wanting(
    serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_OPENAI_BASE_URL", serve_app(create_mock_app(PASSES)))
    arguments = ["calibrate", "--labels", str(JUDGE / "labels.jsonl"), "--judge", NAME]
    rubric = ["--rubric", str(JUDGE / "rubrics/usable-answer.yaml"), "--repeats", "2", "--json"]
    result = CliRunner().invoke(judge_command, [*arguments, *rubric], standalone_mode=False)
    figures = json.loads(result.stdout)
    assert (result.return_value, figures["tpr"]["value"], figures["tnr"]["value"]) == (1, 1.0, 0.0)
    assert (figures["self_consistency"]["value"], figures["errors"]["n"]) == (1.0, 96)
    without = CliRunner().invoke(judge_command, arguments, standalone_mode=False)
    assert isinstance(without.exception, UsageError) and "--rubric" in str(without.exception)


CARD = {
    "reference": {"turns": [{"agent": "safety", "text": "165 F."}]},
    "sabotage": {"fails": "say", "turns": {1: {"agent": "safety", "text": "Warm."}}},
    "expect_state": {},
}


def judged_card(make_card: MakeCard, *judges: Mapping[str, Any], **changes: Any) -> Card:
    turn = {"user": "How hot?", "expect": {"say": ["165 F"], "judge": list(judges)}}
    return make_card(**{**CARD, "turns": [turn], **changes})


USABLE = {"rubric": "usable-answer"}
STATED = {"statement": "The answer names a temperature."}


async def run(card: Card, tmp_path: Path, judge: Judge | None, *, cards: list[Card] | None = None) -> SuiteResult:
    script = tmp_path / "solutions.yaml"
    script.write_text(yaml.safe_dump({card.id: card.reference.model_dump()}))
    target = TargetSpec(kind="scripted", rest=str(script))
    asked = CardRun(pack="qsr", target=target, folder=tmp_path / "run", environ={}, judge=judge)
    return await run_cards(cards or [card], asked, lambda *_: None)


def by_check(slots: Any) -> dict[str, Slot]:
    return {slot.evaluator: slot for slot in slots}


async def test_without_a_judge_its_checks_are_not_measurable_and_no_slots(make_card: MakeCard, tmp_path: Path) -> None:
    result = await run(judged_card(make_card, USABLE), tmp_path, None)
    assert [slot.evaluator for slot in result.slots] == ["answered", "say"]
    assert result.not_measurable == {"judge:usable-answer": "no judge is named; give --judge MODEL (1 cards: hold-chicken)"}
    assert "judge" not in result.tables and not any(name.startswith("judge.") for name in result.metrics)


async def test_an_uncalibrated_judge_advises_and_decides_nothing(make_card: MakeCard, tmp_path: Path, serve_app: Serve) -> None:
    judge = judge_at(serve_app(create_mock_app(FAILS)))
    result = await run(judged_card(make_card, USABLE, STATED), tmp_path, judge)
    slot = by_check(result.slots)["judge:usable-answer"]
    rubric = read_rubric(JUDGE / "rubrics/usable-answer.yaml")
    assert (slot.state, slot.advisory, slot.reason) == ("fail", True, "turn 1: beats about the bush")
    assert (slot.labels["rubric"], slot.labels["judge"]) == (rubric.label, NAME)
    assert play_states(result.slots) == {("hold-chicken", 0): "pass"}
    raw, corrected = (result.metrics[f"judge.usable-answer.{name}"] for name in ("pass_rate", "corrected_pass_rate"))
    assert raw is not None and (raw.k, raw.n, raw.planned) == (0, 1, 1) and corrected is None
    assert result.digests["rubric.usable-answer"] == rubric.digest
    table = result.tables["judge"]
    assert (table["judge"], table["harness"], len(table["rubrics"])) == (NAME, harness(), 2)
    line = next(line for line in judged_lines(table, result.metrics) if "usable" in line)
    assert line == ("judge:usable-answer@1: 0 / 1 judged pass (1 planned); corrected: unknown, advisory: it was never calibrated")
    [verdict, _] = next(read_transcripts(tmp_path / "run")).verdicts
    assert (verdict.said, verdict.rubric, verdict.judge) == ("fail", rubric.label, NAME)


@pytest.mark.parametrize("profile", [MockProfile(server_error_rate=1), MockProfile(content="fixed", reply="pass!")])
async def test_an_outage_of_the_judge_is_its_own_state_and_never_the_assistants_failure(
    make_card: MakeCard, tmp_path: Path, serve_app: Serve, profile: MockProfile
) -> None:
    result = await run(judged_card(make_card, USABLE), tmp_path, judge_at(serve_app(create_mock_app(profile))))
    slots = by_check(result.slots)
    assert {name: slot.state for name, slot in slots.items()} == {
        "answered": "pass",
        "say": "pass",
        "judge:usable-answer": "judge_error",
    }
    assert slots["judge:usable-answer"].stage == "judge" and "gave no verdict" in slots["judge:usable-answer"].reason
    raw = result.metrics["judge.usable-answer.pass_rate"]
    assert raw is not None and (raw.value, raw.n, raw.planned) == (None, 0, 1)


def proven(rubric: Rubric, **changes: Any) -> CalibrationFile:
    counts = {"items": 48, "asked": 48, "missing": 0, "true_passes": 24, "passes": 24, "true_fails": 23, "fails": 24}
    named = {"rubric": rubric.name, "rubric_version": rubric.version, "rubric_digest": rubric.digest}
    return CalibrationFile.model_validate(
        {"judge": NAME, "harness": harness(), "labels_digest": "sha256:0", **named, **counts, **changes}
    )


async def test_a_calibrated_judge_gates_and_its_pass_rate_is_corrected(
    make_card: MakeCard, tmp_path: Path, serve_app: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "datasets/qsr/judge"
    (pack / "rubrics").mkdir(parents=True)
    (pack / "calibrations").mkdir()
    shipped = JUDGE / "rubrics/usable-answer.yaml"
    (pack / "rubrics/usable-answer.yaml").write_text(shipped.read_text())
    (pack / "calibrations/m.json").write_text(proven(read_rubric(shipped)).model_dump_json())
    monkeypatch.chdir(tmp_path)
    result = await run(judged_card(make_card, USABLE), tmp_path, judge_at(serve_app(create_mock_app(FAILS))))
    assert by_check(result.slots)["judge:usable-answer"].advisory is False
    assert play_states(result.slots) == {("hold-chicken", 0): "fail"}
    corrected = result.metrics["judge.usable-answer.corrected_pass_rate"]
    assert corrected is not None and (corrected.k, corrected.n, corrected.value) == (0, 1, 0.0)
    [line] = judged_lines(result.tables["judge"], result.metrics)
    assert line.startswith("judge:usable-answer@1: 0 / 1 judged pass (1 planned); corrected: 0")
    (pack / "calibrations/m.json").write_text(proven(read_rubric(shipped), judge="openai-chat:other").model_dump_json())
    (tmp_path / "two").mkdir()
    again = judged_card(make_card, USABLE, id="again")
    other = await run(again, tmp_path / "two", judge_at(serve_app(create_mock_app(FAILS))))
    assert by_check(other.slots)["judge:usable-answer"].advisory is True


def test_a_card_with_another_threshold_is_another_question_and_is_not_corrected(make_card: MakeCard) -> None:
    jury = Jury(judge=judge_at("http://127.0.0.1:9"), rubrics={"calm": SCALE}, calibrations=[proven(SCALE)])
    rows = [
        Slot(
            slot_id=f"{n}",
            suite="cards",
            card=f"{n}",
            repeat=0,
            evaluator="judge:calm",
            state="pass",
            labels={"rubric": SCALE.label if n else SCALE.model_copy(update={"threshold": 0.5}).label},
        )
        for n in range(2)
    ]
    assert jury.metrics(rows)["judge.calm.corrected_pass_rate"] is None
    assert jury.metrics(rows[1:])["judge.calm.corrected_pass_rate"] is not None
    table = {"judge": NAME, "rubrics": [{"check": "judge:calm", "version": 1, "advisory": False, "doubt": ""}]}
    assert judged_lines(table, jury.metrics(rows))[0].endswith("its wordings or thresholds differ between cards")
    assert judged_lines(table, {}) == judged_lines(None, {}) == []


def test_unknown_and_unfit_rubrics_stop_before_anything_is_played(make_card: MakeCard) -> None:
    cards = [judged_card(make_card, {"rubric": "usable-anser"}, {"rubric": "better-answer"})]
    with pytest.raises(UsageError) as stop:
        load_jury(judge_at("http://127.0.0.1:9"), JUDGE, cards)
    first, second = str(stop.value).splitlines()
    assert "field `turns.1.expect.judge`: unknown rubric 'usable-anser'; did you mean `usable-answer`?" in first
    assert "compares two answers" in second
    [thresholded] = judged_card(make_card, {"rubric": "usable-answer", "threshold": 0.5}).turns[0].expect.judge
    with pytest.raises(UsageError, match="is a statement, true or not; remove `threshold`"):
        rubric_of(thresholded, {"usable-answer": STATEMENT.model_copy(update={"name": "usable-answer"})})
    [stricter] = judged_card(make_card, {"rubric": "calm", "threshold": 1.0}).turns[0].expect.judge
    assert rubric_of(stricter, {"calm": SCALE}).digest != SCALE.digest


@pytest.mark.parametrize("asked", [{}, {"rubric": "a", "statement": "b"}, {"statement": "b", "threshold": 0.5}])
def test_a_judge_expectation_asks_one_thing(make_card: MakeCard, asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"one of the two|remove `threshold`"):
        judged_card(make_card, asked)


def test_a_verdict_that_was_never_given_is_an_error_of_the_judge(make_card: MakeCard) -> None:
    card = judged_card(make_card, STATED)
    [check] = [check for check in checks_for(card) if check.needs == "judge"]
    [slot] = judge_play(PlannedPlay(card=card, repeat=0, checks=[check]), scripted_transcript(card, card.reference))
    assert (slot.state, slot.advisory) == ("judge_error", True) and "turn 1: no verdict" in slot.reason


@pytest.mark.parametrize("name", ["embedded", "paced:tokens=5"])
def test_models_without_language_neither_judge_nor_play_users(name: str) -> None:
    for make in (judge_of, user_of):
        with pytest.raises(UsageError, match="has no language of its own"):
            make(name, {})
    assert judge_of(None, {}) is None
    assert isinstance(user_of(NAME, {"HOME": "/nowhere", "ASSAY_OPENAI_BASE_URL": "http://127.0.0.1:9"}), ModelUser)


async def test_of_a_simulated_conversation_the_last_answer_is_judged_after_all_the_others(
    make_card: MakeCard, serve_app: Serve
) -> None:
    app = create_mock_app(PASSES)
    goal = {"wants": "To know", "reached": {"say": ["165 F"]}, "tree": {"otherwise": "of chicken"}}
    card = judged_card(make_card, STATED, goal=goal)
    jury = Jury(judge=judge_at(serve_app(app)), rubrics={}, calibrations=[])
    turns = [Turn(user="How hot?", text="Of what?"), Turn(user="of chicken", text="165 F.")]
    async with jury.judge.model:
        [verdict] = await jury.verdicts(card, turns)
    asked = json.dumps(app.state.requests[0]["messages"])
    assert (verdict.turn, verdict.said) == (1, "pass")
    assert "Assistant: Of what?" in asked and "<Output>\\n165 F." in asked


async def test_a_play_that_broke_off_and_a_card_that_asks_no_judge_are_not_judged(make_card: MakeCard) -> None:
    jury = Jury(judge=judge_at("http://127.0.0.1:9"), rubrics={}, calibrations=[])
    broken = Transcript(card="c", repeat=0, turns=[], visible=Visible(), fault="timeout")
    assert await with_verdicts(jury, judged_card(make_card, STATED), broken) is broken
    whole = Transcript(card="c", repeat=0, turns=[Turn(user="u", text="t")], visible=Visible())
    assert await with_verdicts(jury, make_card(), whole) is whole


async def test_a_verdict_by_another_wording_is_no_verdict_and_another_wording_is_another_plan(
    make_card: MakeCard, tmp_path: Path, serve_app: Serve
) -> None:
    card = judged_card(make_card, {"rubric": "clear"})
    judge = judge_at("http://127.0.0.1:9")
    plain = plan_cards([card], repeats=1, visible=Visible(judge=True), llm=False)
    now, then = (
        Jury(judge=judge, rubrics={"clear": rubric}, calibrations=[]).plan(plain)
        for rubric in (STATEMENT, STATEMENT.model_copy(update={"version": 2}))
    )
    asked = CardRun(pack="qsr", target=TargetSpec(kind="python", rest="x"), folder=tmp_path, environ={}, judge=judge)
    assert plan_digest(now, asked) != plan_digest(then, asked)
    verdict = Verdict(check="judge:clear", turn=1, said="pass", rubric=STATEMENT.label, judge=NAME)
    transcript = replace(scripted_transcript(card, card.reference), verdicts=[verdict])
    assert by_check(judge_play(now.plays[0], transcript))["judge:clear"].state == "pass"
    stale = by_check(judge_play(then.plays[0], transcript))["judge:clear"]
    assert stale.state == "judge_error" and "the verdict is by clear@1" in stale.reason
