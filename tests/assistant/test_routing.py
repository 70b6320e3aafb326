"""The router picks the right agent, stays with it while a conversation leans on it, and knows how sure it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from assistant.encoder import SentenceEncoder
from assistant.routing import NO_AGENT, Head, RouteContext, Router, RoutingDataError, read_utterances
from assistant.routing.head import softmax
from assistant.routing.lexical import BUCKETS, grams, weigh, words
from assistant.routing.overlap import count_overlap
from assistant.routing.stickiness import Form, Readings, lean, pull, read_form
from assistant.routing.training import HeldOut, best_temperature, hold_out, labels
from assistant.routing.utterances import Utterance

ROOT = Path(__file__).parents[2]
PACK = ROOT / "assistant" / "packs" / "qsr"
TEST_SET = ROOT / "datasets" / "qsr" / "routing"

GARDEN = {
    ("watering", "plants"): [
        "how often do I water the tomatoes",
        "my roses look thirsty",
        "is morning the best time to water",
        "the hose leaves puddles around the lettuce",
        "how much water for a young apple tree",
        "the soil is dry two inches down",
    ],
    ("disease", "plants"): [
        "white powder on the squash leaves",
        "aphids are eating my beans",
        "brown spots all over the tomato leaves",
        "something is chewing the cabbage",
        "my rose bush has black spot",
        "the cucumber leaves are turning yellow",
    ],
    ("mower", "tools"): [
        "the lawn mower will not start",
        "my mower leaves uneven stripes",
        "how do I sharpen the mower blade",
        "mower engine smokes on start",
        "which oil goes in the mower",
        "the pull cord of the mower is stuck",
    ],
    ("hand_tools", "tools"): [
        "where can I sharpen the pruning shears",
        "the spade handle broke",
        "how do I keep rust off my secateurs",
        "which rake is best for gravel",
        "the wheelbarrow tyre is flat",
        "my shears stick when I cut",
    ],
    ("other", NO_AGENT): [
        "who won the match last night",
        "book me a flight to lisbon",
        "tell me a joke",
        "what is the capital of peru",
        "play some music",
        "how do I file my taxes",
    ],
}


def write_garden(path: Path, extra: str = "") -> Path:
    rows = [
        {"text": text, "intent": intent, "agent": agent, "family": f"{intent}-{number}"}
        for (intent, agent), texts in GARDEN.items()
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + extra, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("routing")


@pytest.fixture(scope="module")
def encoder(cache):
    return SentenceEncoder.load(cache_dir=cache)


@pytest.fixture(scope="module")
def garden(cache):
    return write_garden(cache / "garden.jsonl")


@pytest.fixture(scope="module")
def router(garden, encoder, cache):
    return Router.load(garden, encoder, cache)


def agent_of(router, text, current=None, *, pending=False, previous=None):
    return router.decide(text, RouteContext(current_agent=current, pending=pending, previous_text=previous)).agent


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("should I water the peppers every day", "plants"),
        ("there are aphids on my roses", "plants"),
        ("the mower engine will not start after winter", "tools"),
        ("my pruning shears are rusty", "tools"),
        ("book a flight to rome", NO_AGENT),
    ],
)
def test_a_first_message_goes_to_the_agent_of_its_subject(router, text, agent):
    assert agent_of(router, text) == agent


def test_a_decision_carries_a_whole_distribution(router):
    decision = router.decide("the mower will not start", RouteContext())
    assert (decision.agent, decision.intent, decision.stage) == ("tools", "mower", "head")
    assert {agent for agent, _ in decision.alternatives} == {"plants", NO_AGENT}
    shares = [share for _, share in decision.alternatives]
    assert shares == sorted(shares, reverse=True)
    assert decision.confidence + sum(shares) == pytest.approx(1, abs=1e-5)


def test_the_duration_is_measured_on_the_given_clock(router, encoder):
    ticks = iter([5.0, 5.25])
    decision = Router(router.head, encoder, clock=lambda: next(ticks)).decide("the spade broke", RouteContext())
    assert decision.duration_s == 0.25


def test_predict_is_the_head_alone(router):
    prediction = router.predict("who won the match last night")
    assert (prediction.agent, prediction.intent) == (NO_AGENT, "other")
    assert sum(share for _, share in prediction.agents) == pytest.approx(1, abs=1e-5)
    assert [share for _, share in prediction.intents] == sorted((s for _, s in prediction.intents), reverse=True)
    assert 0 < prediction.scope <= 1


@pytest.mark.parametrize("text", ["yes", "ok did that", "thanks", "2 hours ago", "the other one", "and how long?", "sí, gracias"])
@pytest.mark.parametrize("current", ["plants", "tools"])
def test_an_elliptical_message_stays_with_the_current_agent(router, text, current):
    previous = "my roses look thirsty" if current == "plants" else "the lawn mower will not start"
    assert agent_of(router, text, current, previous=previous) == current


def test_a_clear_change_of_subject_moves_on(router):
    assert agent_of(router, "the lawn mower will not start", "plants", previous="my roses look thirsty") == "tools"
    assert agent_of(router, "aphids are eating my beans", "tools", previous="the spade handle broke") == "plants"


def test_an_open_question_holds_an_answer_but_not_a_new_question(router):
    previous = "the lawn mower will not start"
    assert agent_of(router, "the one by the gate", "tools", pending=True, previous=previous) == "tools"
    assert agent_of(router, "why do my tomato leaves have brown spots?", "tools", pending=True, previous=previous) == "plants"


def test_the_stage_says_what_decided(router):
    context = RouteContext(current_agent="tools", previous_text="the lawn mower will not start")
    assert router.decide("yes", context).stage in {"sticky", "head"}
    moved = [text for text in ("hello yes", "ok", "no", "thanks") if router.predict(text).agent != "tools"]
    assert moved
    assert router.decide(moved[0], context).stage == "sticky"
    asked = RouteContext(current_agent="tools", pending=True, previous_text="the lawn mower will not start")
    assert router.decide(moved[0], asked).stage == "pending"


def test_an_agent_the_head_does_not_know_holds_nothing(router):
    assert agent_of(router, "the mower engine smokes", "retired-agent") == "tools"


def test_nobody_holds_a_conversation_that_was_out_of_scope(router):
    assert agent_of(router, "and the mower blade is blunt", NO_AGENT, previous="tell me a joke") == "tools"


def test_a_text_far_from_all_training_belongs_to_nobody(router):
    head = Head(**{**vars(router.head), "scope_floor": np.array([1.0], dtype=np.float32)})
    strict = Router(head, router.encoder)
    decision = strict.decide("the mower engine smokes", RouteContext())
    assert (decision.agent, decision.stage) == (NO_AGENT, "default")
    assert decision.intent == "other"
    assert agent_of(strict, "tell me a joke") == NO_AGENT


def test_an_empty_or_strange_text_still_gets_a_decision(router):
    for text in ("", "   ", "????", "🔥" * 500, "a" * 20_000):
        assert router.decide(text, RouteContext()).agent in {"plants", "tools", NO_AGENT}


def test_the_same_utterances_train_the_same_head(garden, encoder):
    first, second = Router.train(garden, encoder), Router.train(garden, encoder)
    assert first.to_bytes() == second.to_bytes()


def test_a_cached_head_decides_as_the_trained_one(garden, encoder, cache, router, monkeypatch):
    monkeypatch.setattr(Router, "train", staticmethod(lambda *_: pytest.fail("trained again")))
    again = Router.load(garden, encoder, cache)
    assert again.predict("my shears are rusty") == router.predict("my shears are rusty")


def test_other_utterances_train_another_head(encoder, cache, tmp_path):
    before = set(cache.glob("router-*"))
    row = {"text": "the greenhouse door squeaks", "intent": "hand_tools", "agent": "tools", "family": "door"}
    Router.load(write_garden(tmp_path / "more.jsonl", json.dumps(row) + "\n"), encoder, cache)
    assert len(set(cache.glob("router-*")) - before) == 1


def test_a_folder_is_read_by_its_utterances_file(encoder, cache, garden, tmp_path):
    shutil.copy(garden, tmp_path / "utterances.jsonl")
    assert agent_of(Router.load(tmp_path, encoder, cache), "my mower smokes") == "tools"


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[:40] + b"x" + raw[41:], lambda raw: b""])
def test_a_damaged_head_is_not_used(router, tmp_path, damage):
    path = tmp_path / "head.npz"
    path.write_bytes(damage(router.head.to_bytes()))
    assert Head.from_file(path) is None


def test_a_head_of_another_version_is_not_used(router, tmp_path, monkeypatch):
    path = tmp_path / "head.npz"
    monkeypatch.setattr("assistant.routing.head.HEAD_VERSION", 999)
    path.write_bytes(router.head.to_bytes())
    monkeypatch.undo()
    assert Head.from_file(path) is None


def test_serving_needs_neither_scipy_nor_scikit_learn(garden, encoder, cache, router):
    code = (
        "import sys; from pathlib import Path; from assistant.encoder import SentenceEncoder;"
        "from assistant.routing import Router, RouteContext; cache = Path(sys.argv[2]);"
        "Router.load(Path(sys.argv[1]), SentenceEncoder.load(cache_dir=cache), cache).decide('hello', RouteContext());"
        "print([name for name in ('scipy', 'sklearn', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, garden, cache], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("families", "learned"), [(["odd"] * 4, False), (["one", "two", "three", "four"], True)])
def test_held_out_predictions_never_see_the_family(garden, encoder, families, learned):
    """Nonsense that only its own family could teach stays unknown, unless the family is (the planted leak) split up."""
    utterances = read_utterances(garden)
    odd = [
        Utterance(text=f"zzqx vorple {word}", intent="mower", agent="tools", family=family, line=90)
        for word, family in zip(["aaa", "bbb", "ccc", "ddd"], families, strict=True)
    ]
    held = hold_out([*utterances, *odd], encoder)
    assert len(held.targets) == len(utterances) + 4
    shares = softmax(held.logits[len(utterances) :])[:, held.intents.index("mower")]
    assert (shares.min() > 0.5) == learned


def test_the_temperature_makes_confidence_match_accuracy():
    random = np.random.default_rng(3)
    targets = random.integers(0, 2, 2000)
    shown = np.where(random.random(2000) < 0.8, targets, 1 - targets)
    logits = np.zeros((2000, 2), dtype=np.float32)
    logits[np.arange(2000), shown] = 4.0
    held = HeldOut(intents=["a", "b"], agents=["x", "y"], logits=logits, nearest=np.ones(2000, np.float32), targets=targets)
    confidence = softmax(logits / np.float32(best_temperature(held))).max(axis=1).mean()
    assert confidence == pytest.approx((shown == targets).mean(), abs=0.02)


@pytest.mark.parametrize(
    ("text", "words_in_it", "content"),
    [("ok did that", 3, 0), ("2 hours ago", 3, 0), ("165", 1, 0), ("the blade is bent", 4, 2), ("", 0, 0)],
)
def test_form_counts_words_that_name_a_subject(text, words_in_it, content):
    form = read_form(text)
    assert (form.words, form.content, form.acknowledges) == (words_in_it, content, content == 0)


def test_the_pull_grows_with_every_sign_of_leaning():
    plain = pull(read_form("the carburettor on the second machine leaks petrol over everything daily"), pending=False)
    short = pull(read_form("carburettor leaks the petrol"), pending=False)
    pointing = pull(read_form("then it leaks the petrol"), pending=False)
    answering = pull(read_form("then it leaks the petrol"), pending=True)
    asking = pull(read_form("what about the leaking petrol tank cap outside?"), pending=True)
    assert plain < short < pointing < pull(read_form("yes"), pending=False) < pull(read_form("yes"), pending=True)
    assert asking < pointing < answering


def test_the_length_of_an_answer_says_nothing_and_that_of_a_question_does():
    def pending(words, asks):
        return pull(Form(words=words, content=8, acknowledges=False, opens=False, points=False, asks=asks), pending=True)

    assert pending(20, False) == pending(30, False)
    assert pending(20, True) > pending(30, True)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("it leaks?", True),
        ("he touched raw chicken, what does he have to do", True),
        ("when does it start", True),
        ("she said what to do", False),
        (", ", False),
    ],
)
def test_a_question_may_begin_after_a_comma(text, asks):
    assert read_form(text).asks is asks


def test_both_readings_are_weighed_and_the_open_agent_is_pulled():
    even = {"plants": 0.4, "tools": 0.4, NO_AGENT: 0.2}
    tools = {"plants": 0.01, "tools": 0.98, NO_AGENT: 0.01}
    form = read_form("the carburettor on the second machine leaks petrol over everything daily")

    def leaned(message, joined):
        return lean(Readings(message=message, joined=joined), form, current="plants", pending=False, nobody=NO_AGENT)

    plain, by_itself, together = leaned(even, even), leaned(tools, even), leaned(even, tools)
    assert plain[0][0] == "plants"
    assert leaned(tools, tools)[0][0] == "tools"
    assert min(dict(by_itself)["tools"], dict(together)["tools"]) > dict(plain)["tools"]
    assert sum(share for _, share in plain) == pytest.approx(1)


def test_a_message_with_enough_subject_words_is_not_read_with_the_one_before(router):
    for text, alone in (("more beans", False), ("the carburettor of the red mower leaks petrol over the lawn", True)):
        message, joined = router.read(text, "my roses look thirsty", read_form(text))
        assert (message == joined) is alone


def test_a_long_message_before_leaves_room_for_the_message_itself(router):
    context = RouteContext(current_agent="plants", previous_text="my roses look thirsty " * 50)
    assert router.decide("the lawn mower engine will not start", context).agent == "tools"
    first, second = (
        router.read(text, "my roses look thirsty " * 50, read_form(text))[1] for text in ("the mower smokes", "more beans")
    )
    assert first != second


def test_grams_are_weighed_to_unit_length():
    buckets, counts = grams("The mower, the MOWER!")
    weighed = weigh(buckets, counts, np.ones(BUCKETS, dtype=np.float32))
    assert words("The mower, don't!") == ["the", "mower", "don't"]
    assert list(buckets) == sorted(set(buckets))
    assert counts.max() > 1
    assert float(np.linalg.norm(weighed)) == pytest.approx(1)
    assert len(weigh(*grams(""), np.ones(BUCKETS, dtype=np.float32))) == 0


def test_bad_utterances_are_reported_all_at_once(tmp_path):
    good = {"text": "water it", "intent": "watering", "agent": "plants", "family": "one"}
    lines = [
        json.dumps(good),
        "{",
        "[]",
        json.dumps({**good, "text": " ", "colour": "red"}),
        json.dumps({**good, "text": "Water It", "family": "two"}),
        json.dumps({**good, "text": "dry", "agent": "tools"}),
        "",
        json.dumps({**good, "text": "cut", "intent": "lonely"}),
    ]
    path = tmp_path / "utterances.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(RoutingDataError) as caught:
        read_utterances(tmp_path)
    message = str(caught.value)
    for fault in (
        "line 2: not JSON",
        "line 3: not a JSON object",
        "line 4: text is missing or empty",
        "line 4: unknown field 'colour'",
        "line 5: same text as line 1",
        "line 6: intent 'watering' belongs to 'plants', not to 'tools'",
        "fewer than two agents have utterances",
        "intent 'lonely' has fewer than two families",
    ):
        assert fault in message


def test_a_long_list_of_faults_is_cut_with_its_count(tmp_path):
    path = tmp_path / "utterances.jsonl"
    path.write_text("{\n" * 30)
    with pytest.raises(RoutingDataError, match="and 11 more"):
        read_utterances(path)


def test_a_pack_without_utterances_is_refused(encoder, tmp_path):
    with pytest.raises(RoutingDataError, match=r"utterances\.jsonl: not readable"):
        Router.load(tmp_path, encoder, tmp_path)


def test_overlap_finds_planted_duplicates_and_nothing_else():
    training = [
        Utterance(text=text, intent="i", agent="a", family="f", line=line)
        for line, text in enumerate(["The fryer is cold!", "please water my tall roses today", "cut the grass"], start=1)
    ]
    found = count_overlap(training, ["the FRYER is cold", "water my tall roses today", "nothing alike"])
    assert (found.exact, found.near, found.lines) == (1, 1, (1, 2))
    assert count_overlap(training, []).lines == count_overlap([], ["x"]).lines == ()


def held_back_texts() -> list[str]:
    rows = [json.loads(line) for line in (TEST_SET / "test.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    return [row["text"] for row in rows]


def test_training_and_test_sets_do_not_overlap():
    overlap = count_overlap(read_utterances(PACK), held_back_texts())
    assert overlap.lines == (), "these lines of utterances.jsonl are in the test set, or nearly: take them out"


def test_training_covers_every_labelled_intent_broadly():
    table = (TEST_SET / "LABELS.md").read_text(encoding="utf-8")
    labelled = {
        (intent, agent)
        for agent, listed in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", table, flags=re.MULTILINE)
        for intent in re.findall(r"`(\w+)`", listed)
    }
    utterances = read_utterances(PACK)
    counts = Counter((item.intent, item.agent) for item in utterances)
    assert set(counts) == labelled
    assert min(counts.values()) >= 40
    assert sum(count for (_, agent), count in counts.items() if agent == NO_AGENT) >= 500
    assert len({item.family for item in utterances}) > 1000


def test_no_word_of_a_pack_is_in_the_code():
    """Names of agents and intents stand for pack vocabulary; the garden above could not have trained otherwise."""
    intents, agents = labels(read_utterances(PACK))
    names = ({*intents, *agents} - {NO_AGENT, "quiz", "opening", "closing", "training"}) | {"fryer", "taylor", "burger"}
    for path in sorted((ROOT / "assistant" / "routing").glob("*.py")):
        source = path.read_text(encoding="utf-8").casefold()
        assert [name for name in sorted(names) if re.search(rf"\b{name}\b", source)] == [], path.name


@pytest.fixture(scope="module")
def shipped(machine_cache):
    return Router.load(PACK, SentenceEncoder.load(cache_dir=machine_cache), machine_cache)


@pytest.mark.slow
def test_follow_ups_stay_and_would_not_without_a_conversation(shipped):
    lines = (Path(__file__).parent / "data" / "follow_ups.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    stayed = sum(agent_of(shipped, row["text"], row["agent"], previous=row["previous"]) == row["agent"] for row in rows)
    alone = sum(agent_of(shipped, row["text"]) == row["agent"] for row in rows)
    assert stayed >= 0.95 * len(rows)
    assert alone < 0.6 * len(rows)


@pytest.mark.slow
def test_the_shipped_pack_switches_stays_and_is_quick(shipped):
    router = shipped
    assert agent_of(router, "there is a fire in the fryer", "operations", previous="what is left to close") == "safety"
    assert agent_of(router, "and for the other one?", "equipment", previous="the left fryer will not heat") == "equipment"
    assert agent_of(router, "2 hours ago", "safety", pending=True, previous="he burned his hand") == "safety"
    assert agent_of(router, "write me a poem about the sea") == NO_AGENT
    spent = [router.decide(f"can you order {number} more boxes of cups", RouteContext()).duration_s for number in range(60)]
    assert min(spent) < 0.006, "the quickest of 60 shows the work itself, however busy the machine is"
