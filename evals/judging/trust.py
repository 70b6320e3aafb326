"""Calibration files: the proof that lets a judge gate, for exactly one model, rubric and library version.

`datasets/<pack>/judge/calibrations/*.json`, written by `assay judge calibrate --out`. The standing is worked out from the counts each time; what a
file says of itself is never believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evals.errors import UsageError
from evals.judging.calibration import LEAST_RATE, Calibration, Standing, standing_of
from evals.judging.rubrics import Rubric, harness
from reports.statistics.rogan_gladen import Judge as ErrorCounts

Count = Annotated[int, Field(ge=0)]


class CalibrationFile(BaseModel):
    """What was measured, on what. `estimates` are for the reader; only the counts of items judged count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judge: str
    rubric: str
    rubric_version: int
    rubric_digest: str
    harness: str
    labels_digest: str
    items: Count
    asked: Count
    missing: Count
    true_passes: Count
    passes: Count
    true_fails: Count
    fails: Count
    estimates: dict[str, Any] = {}

    @model_validator(mode="after")
    def _counts_fit(self) -> CalibrationFile:
        if self.true_passes > self.passes or self.true_fails > self.fails or self.missing > self.asked:
            raise ValueError("counts do not fit: a part is larger than its whole")
        if self.passes + self.fails > self.items:
            raise ValueError("counts do not fit: more items were judged than there are")
        return self

    @property
    def counts(self) -> ErrorCounts:
        return ErrorCounts(true_passes=self.true_passes, passes=self.passes, true_fails=self.true_fails, fails=self.fails)

    def doubt(self, judge: str, rubric: Rubric) -> str | None:
        """Why this file does not let `judge` gate by `rubric`; null when it does."""
        if self.judge != judge:
            return f"its calibration is of judge {self.judge}"
        if self.rubric_digest != rubric.digest:
            return f"its calibration is of another wording (version {self.rubric_version}, {self.rubric_digest[:15]})"
        if self.harness != harness():
            return f"its calibration is of {self.harness}, this is {harness()}"
        found = standing_of(self.counts, missing=self.missing, asked=self.asked)
        return None if found == "met" else _short_of(self, found)


def calibration_file(
    found: Calibration, *, judge: str, rubric: Rubric, labels_digest: str, estimates: dict[str, Any]
) -> CalibrationFile:
    """`estimates` go in as they are."""
    return CalibrationFile(
        judge=judge,
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_digest=rubric.digest,
        harness=harness(),
        labels_digest=labels_digest,
        items=found.items,
        asked=found.errors.n,
        missing=found.errors.k or 0,
        true_passes=found.counts.true_passes,
        passes=found.counts.passes,
        true_fails=found.counts.true_fails,
        fails=found.counts.fails,
        estimates=estimates,
    )


def read_calibrations(folder: Path) -> list[CalibrationFile]:
    """All calibration files of a folder; none when there is no folder. Raises `UsageError`: a damaged proof is no proof."""
    found: list[CalibrationFile] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(CalibrationFile.model_validate_json(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "file"
            raise UsageError(f"{path}: field `{where}`: {first['msg'].removeprefix('Value error, ')}; calibrate again") from error
    return found


def write_calibration(path: Path, file: CalibrationFile) -> None:
    """Raises `UsageError` when the path cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(file.model_dump(), indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror}; choose another path") from error


def standing(files: Iterable[CalibrationFile], judge: str, rubric: Rubric) -> tuple[CalibrationFile | None, str]:
    """The file that lets `judge` gate by `rubric`, or null and the nearest reason why none does."""
    doubts: list[str] = []
    for file in files:
        if file.rubric == rubric.name:
            doubt = file.doubt(judge, rubric)
            if doubt is None:
                return file, ""
            doubts.append(doubt)
    near = [doubt for doubt in doubts if "of judge" not in doubt]
    return None, next(iter(near or doubts), "it was never calibrated")


def _short_of(file: CalibrationFile, found: Standing) -> str:
    rates = f"TPR {file.true_passes} / {file.passes}, TNR {file.true_fails} / {file.fails}, {file.missing} of {file.asked} verdicts missing"
    end = f"too few labels to be sure of {LEAST_RATE:.0%}" if found == "open" else f"short of {LEAST_RATE:.0%}"
    return f"{rates}: {end}"
