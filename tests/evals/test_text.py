from __future__ import annotations

import pytest

from evals.evaluators.text import content_words, normalise, quantities, says


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        ("Hold it at 135 °F or above.", "135 F"),
        ("Hold it at 74 C.", "165 F"),
        ("Cook to 165 degrees Fahrenheit.", "74 C"),
        ("Wait 2 hours.", "120 minutes"),
        ("Use 200\u2013400 ppm.", "400 ppm"),
        ("**Do not** use ice", "do not"),
        ("It\u2019s fine [hot-holding#a] now", "it's fine now"),
    ],
)
def test_equal_meanings_count_as_said(answer: str, phrase: str) -> None:
    assert says(answer, phrase)


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        ("Hold it at 140 F.", "135 F"),
        ("Cook to 1165 F", "165 F"),
        ("Wait 2 hours.", "2 minutes"),
        ("icepack", "ice"),
        ("", "anything"),
    ],
)
def test_other_meanings_do_not_count(answer: str, phrase: str) -> None:
    assert not says(answer, phrase)


def test_quantities_come_in_base_units() -> None:
    assert [(round(q.value, 1), q.unit) for q in quantities("41 F for 4 hours at 50 ppm, 80 %")] == [
        (5.0, "c"),
        (14400.0, "s"),
        (50.0, "ppm"),
        (80.0, "%"),
    ]


def test_normalised_text_is_plain() -> None:
    assert normalise("  **Hello**\n\u201cWorld\u201d ") == 'hello "world"'


def test_content_words_skip_short_ones() -> None:
    assert content_words("Cool the burn at 20 C") == {"cool", "burn", "20"}
