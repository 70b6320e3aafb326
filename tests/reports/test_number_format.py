"""Numbers print as people read them, never rounded into another claim."""

from __future__ import annotations

import pytest

from reports import format as form
from reports.records import Estimate, Unit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.9, "90 %"),
        (0.9571, "95.7 %"),
        (0.9999, "99.99 %"),
        (0.99996, "99.996 %"),
        (0.0004, "0.04 %"),
        (0.999, "99.9 %"),
        (1.2, "120 %"),
        (-0.014, "-1.4 %"),
    ],
)
def test_shares_never_round_to_all_or_nothing(value: float, text: str) -> None:
    assert form.share(value).replace(form.THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.00042, "420 µs"),
        (0.0131, "13.1 ms"),
        (1.714, "1.71 s"),
        (90, "90 s"),
        (1458, "24 min 18 s"),
        (7200, "2 h"),
        (-0.02, "-20 ms"),
        (-130, "-2 min 10 s"),
        (2e-10, "0.0002 µs"),
        (float("0.9996"), "1 s"),
    ],
)
def test_times(value: float, text: str) -> None:
    assert form.seconds(value).replace(form.THIN, " ") == text


@pytest.mark.parametrize(("value", "text"), [(418e6, "418 MB"), (2e9, "2 GB"), (12_345, "12.3 kB"), (12, "12 B")])
def test_sizes(value: float, text: str) -> None:
    assert form.size(value).replace(form.THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "–"),
        (1, "yes_no", "yes"),
        (0, "yes_no", "no"),
        (1000, "count", "1,000"),
        (2.5, "count", "2.5"),
        (5.79, "per_second", "5.79 /s"),
        (0, "per_second", "0 /s"),
    ],
)
def test_quantities(value: float | None, unit: Unit, text: str) -> None:
    assert form.quantity(value, unit).replace(form.THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.02, "share", "+2.0 pt"), (-0.02, "seconds", "−20 ms"), (0, "share", "±0.0 pt"), (None, "share", "–")],
)
def test_changes_carry_their_sign(value: float | None, unit: Unit, text: str) -> None:
    assert form.change(value, unit).replace(form.THIN, " ") == text


def test_counts_name_what_is_missing() -> None:
    some = Estimate(value=0.5, low=None, high=None, k=1, n=2, planned=4, confidence=0.95, method="m")
    assert form.of_planned(some).replace(form.THIN, " ") == "1 / 2 of 4 planned"
    assert form.of_planned(None) == "–"


def test_moments_plurals_and_listings() -> None:
    assert form.moment("2026-11-12T02:41:00+00:00") == "12 Nov 2026, 02:41 UTC"
    assert form.moment("2026-11-12T02:41:00+02:00") == "12 Nov 2026, 02:41 +0200"
    assert form.moment("yesterday") == "yesterday"
    assert [form.plural(n, "queries") for n in (1, 2)] == ["1 query", "2 queries"]
    assert [form.listing(list(names)) for names in ("", "a", "ab", "abc", "abcde")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b and 3 more",
    ]
