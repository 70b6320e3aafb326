"""`assay routing` from the outside: any data, any router, a page, a model folder, two results side by side."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from assistant.encoder import EncoderError, tuned
from assistant.encoder.tuned import Parity
from assistant.encoder.weights import read_tensors
from evals.cli.routing import routing
from evals.errors import UsageError
from evals.routing import trained

SUBJECTS = {
    "watering": [
        "how often do I water the tomatoes",
        "my roses look thirsty",
        "how much water for a young apple tree",
        "is the soil too dry",
    ],
    "mower": ["the lawn mower will not start", "my mower leaves stripes", "which oil goes in the mower", "mower engine smokes"],
    "disease": [
        "white powder on the squash leaves",
        "aphids are eating my beans",
        "brown spots on the leaves",
        "my rose has black spot",
    ],
}
TESTS = [
    ("should I water the peppers every day", "watering"),
    ("the mower engine stopped", "mower"),
    ("there are aphids on my roses", "disease"),
]
AGENTS = {"watering": "plants", "disease": "plants", "mower": "tools"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def environment(monkeypatch, cache, tmp_path):
    monkeypatch.setenv("ASSAY_CACHE_DIR", str(cache))
    monkeypatch.setenv("ASSAY_STATE_DIR", str(tmp_path / "state"))


def rows_of(pairs, *, agents: bool = False) -> str:
    return "".join(
        json.dumps({"text": text, "intent": intent, **({"agent": AGENTS.get(intent, "none")} if agents else {})}) + "\n"
        for text, intent in pairs
    )


def training() -> list[tuple[str, str]]:
    return [(text, intent) for intent, texts in SUBJECTS.items() for text in texts]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "train.jsonl").write_text(rows_of(training()))
    (tmp_path / "test.jsonl").write_text(rows_of(TESTS))
    return tmp_path


def run(*arguments: object):
    done = CliRunner().invoke(routing, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def measured(*arguments: object) -> dict:
    return json.loads(run(*arguments, "--json").stdout)


def test_a_router_is_trained_and_measured_on_any_file(files):
    found = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl")
    assert found["accuracy"]["value"] == 1.0 and found["accuracy"]["n"] == 3
    assert (found["variant"], found["level"]) == ("forced", "intent")
    assert found["router"]["hash"].startswith("sha256:") and found["router"]["train"]["n"] == 12
    for part in ("encode_s", "head_s", "decide_s"):
        assert found["latency"][part]["p50"]["value"] > 0
    assert len(found["items"]) == 3 and found["oos"] is None


def test_the_order_of_training_changes_nothing(files):
    first = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl")
    (files / "turned.jsonl").write_text(rows_of([*reversed(training()), training()[0]]))
    again = measured("--train", files / "turned.jsonl", "--test", files / "test.jsonl")
    assert again["router"]["hash"] == first["router"]["hash"]
    assert [item["confidence"] for item in again["items"]] == [item["confidence"] for item in first["items"]]


def test_wrong_labels_are_found_wrong(files):
    (files / "test.jsonl").write_text(rows_of([(TESTS[0][0], "mower"), (TESTS[1][0], "mower"), (TESTS[2][0], "unheard")]))
    found = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl")
    assert found["accuracy"]["k"] == 1
    assert any("'unheard' is in no training text" in said for said in found["warnings"])
    assert {row["expected"] for row in found["worst"]} == {"mower", "unheard"}


def test_none_in_the_test_turns_abstention_on(files):
    (files / "none.jsonl").write_text(rows_of([*TESTS, ("????", "none")]))
    found = measured("--train", files / "train.jsonl", "--test", files / "none.jsonl")
    assert found["variant"] == "abstaining" and found["accuracy"]["n"] == 4
    assert found["accuracy_forced"]["n"] == 3
    assert found["classes"]["none"]["recall"]["value"] == 1.0


def test_out_of_scope_texts_and_lists(files):
    (files / "far.jsonl").write_text('{"text": "?!"}\n{"text": "🔥"}\n')
    found = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--oos", files / "far.jsonl")
    assert found["variant"] == "forced" and found["oos"]["n"] == 2
    assert found["oos"]["auroc"]["value"] == 1.0 and found["oos"]["recall"]["value"] == 1.0
    lists = {"train": training(), "test": TESTS, "oos_test": [["who won the match", "oos"]]}
    (files / "all.json").write_text(json.dumps(lists))
    (files / "domains.json").write_text(json.dumps({"plants": ["watering", "disease"], "tools": ["mower"]}))
    found = measured("--train", files / "all.json", "--test", files / "all.json", "--domains", files / "domains.json")
    assert found["level"] == "agent" and set(found["classes"]) == {"plants", "tools"} and found["oos"]["n"] == 1
    assert found["intent_accuracy"]["n"] == 3


def test_agents_of_the_training_file_label_the_test(files):
    (files / "agents.jsonl").write_text(rows_of(training(), agents=True))
    found = measured("--train", files / "agents.jsonl", "--test", files / "test.jsonl")
    assert found["level"] == "agent" and set(found["classes"]) == {"plants", "tools"}
    (files / "strange.jsonl").write_text(rows_of([("x", "unheard")]))
    with pytest.raises(UsageError, match="names no agent"):
        run("--train", files / "agents.jsonl", "--test", files / "strange.jsonl")


def test_a_model_folder_is_written_read_and_refused_when_it_does_not_fit(files):
    trained = measured("--train", files / "train.jsonl", "--model", files / "model")
    assert "accuracy" not in trained
    first = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl")
    again = measured("--model", files / "model", "--test", files / "test.jsonl")
    assert again["items"] == first["items"] and again["router"]["hash"] == first["router"]["hash"]
    assert again["router"]["train"]["source"] == "train.jsonl"


def test_any_function_is_measured_and_compared(files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "their_router.py").write_text("def route(text):\n    return ('mower', 0.9)\n")
    ours = run("--train", "train.jsonl", "--test", "test.jsonl", "--json").stdout
    theirs = run("--router", "python:their_router:route", "--test", "test.jsonl", "--json").stdout
    (files / "a.json").write_text(theirs)
    (files / "b.json").write_text(ours)
    assert json.loads(theirs)["accuracy"]["k"] == 1
    found = measured("--compare", "a.json", "b.json")
    assert (found["broke"], found["healed"], found["p_two_sided"]) == (0, 2, 0.5)
    assert "McNemar exact two-sided p 0.5" in run("--compare", "a.json", "b.json").stdout
    with_labels = measured("--router", "python:their_router:route", "--test", "test.jsonl", "--train", "train.jsonl")
    assert with_labels["level"] == "intent"


def test_robustness_and_a_page(files):
    page = files / "page.html"
    done = run("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--robustness", "--report", page)
    assert "change by typos" in done.stdout and "accuracy" in done.stdout and "decide" in done.stdout
    assert "Confusion" in page.read_text() and "leading chatter" in page.read_text()
    first = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--robustness", "--seed", 3)["robustness"]
    second = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--robustness", "--seed", 3)["robustness"]
    assert first == second and first["lower_case"]["changed"] < 3 == first["leading_chatter"]["changed"]


def test_a_router_that_dislikes_chatter_loses_by_it(files, monkeypatch):
    monkeypatch.chdir(files)
    answers = {text: intent for text, intent in TESTS}
    (files / "brittle_router.py").write_text(f"KNOWN = {answers!r}\n\ndef route(text):\n    return KNOWN.get(text, 'none')\n")
    found = measured("--router", "python:brittle_router:route", "--test", "test.jsonl", "--robustness")
    assert found["accuracy"]["value"] == 1.0
    assert found["robustness"]["leading_chatter"]["broke"] == 3
    assert found["robustness"]["leading_chatter"]["difference"]["value"] == -1.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train", "train.jsonl"], "--test is missing"),
        (["--pack", "qsr", "--train", "train.jsonl"], "--pack measures the pack's own router"),
        (["--oos", "x"], "go with --train"),
        (["--router", "python:a:b", "--model", "m", "--train", "train.jsonl", "--test", "test.jsonl"], "two routers"),
        (["--finetune"], "give --train FILE"),
        (["--device", "cpu", "--pack", "qsr"], "give --train FILE"),
        (["train", "--train", "train.jsonl"], "`train` needs --train FILE"),
        (["train", "--train", "train.jsonl", "--model", "m", "--test", "test.jsonl"], "`train` measures nothing"),
        (["--train", "train.jsonl", "--model", "m", "--device", "cpu"], "leave --device out"),
        (["--model", "nowhere", "--test", "test.jsonl"], "cannot be read"),
    ],
)
def test_options_that_do_not_fit_are_refused(files, monkeypatch, arguments, said):
    monkeypatch.chdir(files)
    with pytest.raises(Exception, match=said):
        run(*arguments)


def test_without_anything_to_measure_it_says_so(tmp_path):
    from evals.routing.measuring import Sources, measure

    place = trained.Workplace(encoder=None, cache_dir=tmp_path, progress=lambda *_: None)
    with pytest.raises(UsageError, match="nothing to measure"):
        measure(Sources(), place)


@pytest.fixture
def untuned(monkeypatch, tiny, tmp_path):
    """A random encoder whose tuning changes nothing and is counted, so that the command is tested without torch."""
    tunings: list[list[tuple[str, str]]] = []

    def tune(examples, files, plan, device, progress):
        tunings.append(list(examples))
        progress(1, 1)
        return read_tensors(files)

    monkeypatch.setenv("ASSAY_ENCODER", str(tiny))
    monkeypatch.setenv("ASSAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(trained, "tune", tune)
    torch = SimpleNamespace(__version__="0", cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setattr(trained, "open_torch", lambda: torch)
    monkeypatch.setattr(tuned, "measure_parity", lambda folder, texts: Parity(texts=len(texts), mean=0.995, least=0.97))
    return tunings


def test_a_router_is_tuned_with_its_encoder_and_measured_without_being_told_which(files, untuned, monkeypatch):
    done = run("train", "--train", files / "train.jsonl", "--model", files / "model", "--finetune")
    assert "on 15 texts, 10 epochs, cpu, torch 0" in done.stdout and "cosine mean 0.9950, least 0.9700" in done.stdout
    # Three of four texts and then all, each time with the names of the three intents.
    assert [len(examples) for examples in untuned] == [12, 15]
    monkeypatch.delenv("ASSAY_ENCODER")
    again = measured("--model", files / "model", "--test", files / "test.jsonl")
    first = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl")
    assert again["router"]["encoder"] != first["router"]["encoder"] and again["accuracy"]["n"] == 3
    card = files / "model" / "encoder" / "tokenizer.json"
    card.write_text(card.read_text().replace("fryer", "grill"))
    with pytest.raises(EncoderError, match=r"tokenizer\.json: is absent or not the file that tuned\.json names"):
        run("--model", files / "model", "--test", files / "test.jsonl")


def test_what_was_tuned_before_is_not_tuned_again(files, untuned):
    first = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--finetune", "--seed", 2)
    again = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--finetune")
    assert again["items"] == first["items"] and len(untuned) == 2
    assert again["router"]["tuning"]["parity"] == {"texts": 15, "mean": 0.995, "least": 0.97}


def test_with_plenty_of_texts_one_in_ten_is_kept_back_and_tuning_happens_once(files, untuned, monkeypatch):
    monkeypatch.setattr(trained, "PLENTY", 4)
    rows = [(f"{text} {end}", intent) for text, intent in training() for end in ("now", "please", "today")]
    (files / "more.jsonl").write_text(rows_of(rows))
    measured("--train", files / "more.jsonl", "--test", files / "test.jsonl", "--finetune")
    assert [len(examples) for examples in untuned] == [30 + 3]


def test_a_folder_written_again_without_tuning_has_no_encoder_left(files, untuned):
    run("train", "--train", files / "train.jsonl", "--model", files / "model", "--finetune")
    run("train", "--train", files / "train.jsonl", "--model", files / "model")
    assert list((files / "model" / "encoder").iterdir()) == []
    assert measured("--model", files / "model", "--test", files / "test.jsonl")["accuracy"]["n"] == 3


def test_tuning_for_real_and_reading_in_batches(files, tiny, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("ASSAY_ENCODER", str(tiny))
    monkeypatch.setattr(tuned, "LEAST_MEAN", 0.9)
    monkeypatch.setattr(tuned, "LEAST", 0.9)
    found = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--finetune", "--device", "cpu")
    assert found["router"]["tuning"]["device"] == "cpu" and found["accuracy"]["n"] == 3
    batched = measured("--train", files / "train.jsonl", "--test", files / "test.jsonl", "--device", "cpu")
    assert "torch-fp32" in batched["router"]["encoder"] and batched["latency"]["encode_s"]["p50"]["value"] > 0
    with pytest.raises(UsageError, match="leave --device out"):
        run("train", "--train", files / "train.jsonl", "--model", files / "m", "--finetune", "--device", "cpu")
        run("--train", files / "train.jsonl", "--model", files / "m", "--device", "cpu")


def test_without_torch_tuning_and_batches_are_refused(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for more in (["--finetune"], ["--device", "cpu"]):
        with pytest.raises(EncoderError, match="torch is not installed"):
            run("--train", files / "train.jsonl", "--test", files / "test.jsonl", *more)
