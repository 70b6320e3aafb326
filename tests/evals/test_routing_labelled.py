"""Labelled data of any format is read, and every fault is told with its place."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from evals.errors import UsageError
from evals.routing.formats import read_rows
from evals.routing.labelled import (
    own_out_of_scope,
    read_domains,
    read_out_of_scope,
    read_selection,
    read_test,
    read_training,
)

ROWS = [("pay the bill", "pay"), ("settle my invoice", "pay"), ("where is my card", "card"), ("lost the card", "card")]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(rows, **more) -> str:
    return "".join(json.dumps({"text": text, "intent": intent, **more}) + "\n" for text, intent in rows)


def test_three_formats_hold_the_same_rows(tmp_path):
    as_lines = write(tmp_path / "a.jsonl", lines(ROWS))
    as_csv = write(tmp_path / "a.csv", "text,category\n" + "".join(f'"{text}",{intent}\n' for text, intent in ROWS))
    as_lists = write(tmp_path / "a.json", json.dumps({"train": [list(row) for row in ROWS], "test": [["x", "pay"]]}))
    expected = [(text, intent) for text, intent in ROWS]
    for source in (as_lines, as_csv, as_lists):
        assert [(row.text, row.intent) for row in read_rows(source, "train")] == expected
    assert [row.text for row in read_rows(as_lists, "test")] == ["x"]
    assert [row.text for row in read_rows(f"{as_lists}#train", "test")] == [text for text, _ in ROWS]


def test_a_text_may_hold_what_ends_a_line_elsewhere(tmp_path):
    odd = "one\u2028two\x85three\x0c\x00four"
    source = write(tmp_path / "a.jsonl", json.dumps({"text": odd, "intent": "i"}, ensure_ascii=False) + "\n")
    assert [row.text for row in read_rows(source, "test")] == [odd]
    quoted = write(tmp_path / "a.csv", 'text,category\n"two\nlines, a comma",i\n')
    assert [row.text for row in read_rows(quoted, "test")] == ["two\nlines, a comma"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "holds no row"),
        ("a.jsonl", '{"text": "x", "intent": "a"}\nnope\n', "line 2: not JSON"),
        ("a.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("a.jsonl", '{"text": "x", "intnt": "a"}\n', "line 1: unknown field 'intnt'; did you mean `intent`"),
        ("a.jsonl", '{"intent": "a"}\n', "line 1: `text` is missing"),
        ("a.jsonl", '{"text": 7, "intent": "a"}\n', "line 1: `text` is 7; write a text"),
        ("a.jsonl", '{"text": "x"}\n', "line 1: `intent` is missing or empty"),
        ("a.csv", "", "line 1: the heading is ''"),
        ("a.csv", "words,category\nx,a\n", "give the columns text,category"),
        ("a.csv", "text,category,colour\nx,a,red\n", "line 1: unknown column 'colour'"),
        ("a.csv", "text,category\nx,a\nx,y,z\n", "line 3: 3 cells, the heading has 2"),
        ("a.csv", 'text,category\n"x"y,a\n', "not CSV"),
        ("a.json", "{", "not JSON"),
        ("a.json", '{"trein": []}', "no list 'train'"),
        ("a.json", '{"train": [["x"]]}', "train[0]: not a pair"),
        ("a.json", "7", "no list 'train'"),
    ],
)
def test_every_fault_is_told_with_its_place(tmp_path, name, content, said):
    with pytest.raises(UsageError) as error:
        read_training(write(tmp_path / name, content))
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.jsonl: cannot be read"):
        read_rows(str(tmp_path / "gone.jsonl"), "test")
    (tmp_path / "latin.csv").write_bytes(b"text,category\n\xe9,a\n")
    with pytest.raises(UsageError, match="byte 14: not UTF-8"):
        read_rows(str(tmp_path / "latin.csv"), "test")


def test_very_many_faults_are_cut_with_their_number(tmp_path):
    with pytest.raises(UsageError, match="and 10 more faults"):
        read_rows(write(tmp_path / "a.jsonl", "nope\n" * 30), "test")


def test_one_class_and_one_example_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"line 1: 2 usable texts of 1 class \(pay\)"):
        read_training(write(tmp_path / "a.jsonl", lines(ROWS[:2])))
    with pytest.raises(UsageError, match="1 usable texts of 1 class"):
        read_training(write(tmp_path / "a.jsonl", lines(ROWS[:1])))
    with pytest.raises(UsageError, match="every intent has one example"):
        read_training(write(tmp_path / "a.jsonl", lines([ROWS[0], ROWS[2]])))


def test_contradictions_are_left_out_and_thin_classes_told_by_line(tmp_path):
    rows = [*ROWS, ("Pay  the BILL", "card"), ("lonely", "alone"), ROWS[2]]
    data = read_training(write(tmp_path / "a.jsonl", lines(rows)))
    assert {row.text for row in data.rows} == {"settle my invoice", "where is my card", "lost the card", "lonely"}
    contradicting, repeated, thin, other = sorted(
        data.warnings, key=lambda said: ("same text" not in said, "repeat" not in said, said)
    )
    assert "labels card, pay (line 1, line 5)" in contradicting
    assert repeated.startswith("1 rows repeat")
    assert "line 2: 'pay' has this example only" in thin
    assert "line 6: 'alone' has this example only" in other


def test_order_and_duplicates_do_not_change_a_training_set(tmp_path):
    chance = random.Random(1)
    base = read_training(write(tmp_path / "a.jsonl", lines(ROWS)))
    for _ in range(10):
        shuffled = [*ROWS, *chance.choices(ROWS, k=3)]
        chance.shuffle(shuffled)
        again = read_training(write(tmp_path / "b.jsonl", lines(shuffled)))
        assert again.digest == base.digest
        assert [row.text for row in again.rows] == [row.text for row in base.rows]


def test_agents_make_the_level_and_must_be_whole(tmp_path):
    data = read_training(write(tmp_path / "a.jsonl", lines(ROWS[:2], agent="money") + lines(ROWS[2:], agent="cards")))
    assert data.level == "agent"
    with pytest.raises(UsageError, match="line 3: `agent` is missing where other rows"):
        read_training(write(tmp_path / "a.jsonl", lines(ROWS[:2], agent="money") + lines(ROWS[2:])))
    with pytest.raises(UsageError, match="belongs to 'money'"):
        read_training(write(tmp_path / "a.jsonl", lines(ROWS[:1], agent="money") + lines(ROWS[1:], agent="cards")))


def test_domains_are_agents(tmp_path):
    domains = write(tmp_path / "d.json", json.dumps({"money": ["pay"], "cards": ["card"]}))
    data = read_training(write(tmp_path / "a.jsonl", lines(ROWS)), domains=read_domains(domains))
    assert data.level == "agent" and {row.agent for row in data.rows} == {"money", "cards"}
    with pytest.raises(UsageError, match="'card' is in no domain"):
        read_training(write(tmp_path / "a.jsonl", lines(ROWS)), domains={"pay": "money"})
    for content, said in (
        ('{"a": ["x"], "b": ["x"]}', "in 'a' and in 'b'"),
        ("[]", "not a JSON object of lists"),
        ("{", "not JSON"),
    ):
        with pytest.raises(UsageError, match=said):
            read_domains(write(tmp_path / "d.json", content))


def test_out_of_scope_has_one_spelling(tmp_path):
    test = read_test(write(tmp_path / "a.jsonl", lines([("x", "none"), ("y", "oos"), ("z", "pay")])))
    assert [row.intent for row in test.rows] == ["none", "none", "pay"]
    lists = write(tmp_path / "a.json", json.dumps({"test": [["x", "pay"]], "oos_test": [["y", "oos"]], "val": [["z", "pay"]]}))
    assert own_out_of_scope(lists) == f"{lists}#oos_test"
    assert own_out_of_scope(f"{lists}#val") is None
    assert own_out_of_scope(str(tmp_path / "a.jsonl")) is None
    assert [(row.text, row.intent, row.agent) for row in read_out_of_scope(lists)] == [("y", "none", "none")]


def test_the_agent_of_an_intent_is_known_from_training(tmp_path):
    test = read_test(write(tmp_path / "a.jsonl", lines([("x", "pay")])), agents={"pay": "money"})
    assert (test.level, test.rows[0].agent) == ("agent", "money")


def test_rows_are_chosen_by_number(tmp_path):
    source = write(tmp_path / "a.jsonl", lines(ROWS))
    for content, suffix in (("[0, 1, 3]", ""), ('{"few": [0, 1, 3], "more": [2]}', "#few"), ("0\n1\n3\n", "")):
        chosen = write(tmp_path / "rows.json", content) + suffix
        assert {row.number for row in read_training(source, rows_file=chosen).rows} == {0, 1, 3}
    with pytest.raises(UsageError, match="row 9 does not exist"):
        read_training(source, rows_file=write(tmp_path / "rows.json", "[0, 9]"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"few": [1]}', "holds the lists few"),
        ("[]", "no row number"),
        ("[-1]", "-1 is no row number"),
        ("a b", "no row numbers"),
        ("[1", "no row"),
    ],
)
def test_a_bad_choice_of_rows_is_refused(tmp_path, content, said):
    with pytest.raises(UsageError, match=said):
        read_selection(write(tmp_path / "rows.json", content))
