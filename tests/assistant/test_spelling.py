"""British and American spellings of a word fold to the same, and other words stay apart."""

import pytest

from assistant.spelling import fold, folded


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("sanitiser", "sanitizer"),
        ("organisation", "organization"),
        ("analysed", "analyzed"),
        ("diarrhoea", "diarrhea"),
        ("labour", "labor"),
        ("colours", "colors"),
        ("anaemia", "anemia"),
        ("centre", "center"),
        ("litres", "liters"),
        ("catalogue", "catalog"),
        ("labelled", "labeled"),
        ("mould", "mold"),
        ("draught", "draft"),
        ("tyres", "tires"),
        ("grey", "gray"),
        ("cheque", "check"),
        ("programme", "program"),
        ("licence", "license"),
    ],
)
def test_both_spellings_are_one(british, american):
    assert folded(british) == folded(american)


@pytest.mark.parametrize(
    "word", ["hour", "four", "our", "pour", "grill", "grilled", "spilled", "does", "shoe", "fire", "store", "more"]
)
def test_words_without_a_second_spelling_stay(word):
    assert folded(word) == word


def test_a_text_keeps_its_figures_and_marks():
    assert fold("Sanitiser: 50 ppm (Labour).") == "sanitizer: 50 ppm (labor)."
