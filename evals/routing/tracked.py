"""A result of `assay routing` as one MLflow run: every figure as a metric, what was measured as parameters, page and result as artifacts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evals.routing.page import write_page

if TYPE_CHECKING:
    from reports.mlflow_store import TrackResult

EXPERIMENT = "assay-routing"
LISTS = frozenset(
    {"items", "worst", "confusion", "reliability", "risk_coverage", "classes", "metrics", "router", "test", "warnings"}
)
"""Fields of a result that are no figures, or hundreds of them; they are in the artifacts."""


def track_result(found: Mapping[str, Any], *, root: Path, tracking_uri: str | None) -> TrackResult:
    """Send a result to the tracker at `tracking_uri`, or to the store among the runs in `root`. Never raises for an outage."""
    from reports.mlflow_store import Measurement, track_measurement

    with tempfile.TemporaryDirectory(prefix="assay-routing-") as folder:
        page, result = Path(folder) / "report.html", Path(folder) / "result.json"
        write_page(found, page)
        result.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        measured = Measurement(
            experiment=EXPERIMENT,
            name=f"{found['router']['name']} on {Path(str(found['test']['source'])).name}",
            metrics=dict(metrics_of(found)),
            params=dict(parameters_of(found)),
            tags={"assay.kind": "routing", "assay.router": str(found["router"].get("hash") or found["router"]["name"])},
            files=[page, result],
            root=root,
        )
        return track_measurement(measured, tracking_uri=tracking_uri)


def metrics_of(found: Mapping[str, Any], before: str = "routing") -> Iterator[tuple[str, float]]:
    """Names with dots and values, of an estimate also its bounds; what is missing or no number is left out."""
    for name, value in found.items():
        key = f"{before}.{name}"
        if name in LISTS or isinstance(value, bool | str):
            continue
        if isinstance(value, int | float):
            yield key, float(value)
        elif isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            if "confidence" in inner and "method" in inner:
                told = {key: inner["value"], f"{key}.low": inner["low"], f"{key}.high": inner["high"]}
                yield from ((part, float(number)) for part, number in told.items() if number is not None)
            else:
                yield from metrics_of(inner, key)


def parameters_of(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was measured: router, test, level and variant, flat."""
    for name in ("router", "test", "level", "variant"):
        yield from _flat(name, found.get(name))


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for part, inner in cast("Mapping[str, object]", value).items():
            yield from _flat(f"{name}.{part}", inner)
    elif value is not None:
        yield name, str(value)
