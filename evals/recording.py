"""From suites to a finished run folder: slots, transcripts, record, verdict, report, ledger."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.errors import EvidenceError
from evals.suites import SuiteResult
from evals.transcript import transcript_to_json
from reports.gates.decide import decide
from reports.gates.policy import Policy
from reports.gates.verdict import Verdict, write_verdict
from reports.history import read_history
from reports.provenance import Origin, collect_provenance
from reports.records import Estimate, Provenance, Record, Slot, Tier, write_record, write_slots
from reports.render import render_run


@dataclass(frozen=True, kw_only=True)
class Recording:
    tier: Tier
    pack: str
    target: str
    folder: Path
    policy: Path
    environ: Mapping[str, str]


def finish_run(
    recording: Recording, suites: Mapping[str, SuiteResult], policy: Policy, durations_s: Mapping[str, float]
) -> Verdict:
    """Write the run folder and decide. Raises `EvidenceError` when the disk refuses."""
    slots = [slot for suite in suites.values() for slot in suite.slots]
    record = make_record(recording, suites, slots, durations_s)
    verdict = decide(record, slots, policy, history=read_history(recording.folder.parent))
    try:
        digest = write_slots(recording.folder / "slots.jsonl", slots)
        _write_scores(recording.folder / "scores.jsonl", slots)
        _write_transcripts(recording.folder / "transcripts.jsonl", suites.values())
        _write_prompts(recording)
        write_record(recording.folder, replace(record, slots_digest=digest))
        write_verdict(recording.folder, verdict)
        render_run(recording.folder)
    except OSError as error:
        raise EvidenceError(
            f"{recording.folder}: cannot be written: {error.strerror}; free some space, then continue with --resume"
        ) from error
    return verdict


def make_record(
    recording: Recording, suites: Mapping[str, SuiteResult], slots: Iterable[Slot], durations_s: Mapping[str, float]
) -> Record:
    metrics: dict[str, Estimate | None] = {}
    tables: dict[str, Any] = {}
    not_measurable: dict[str, str] = {}
    broken: list[str] = []
    for suite in suites.values():
        metrics |= suite.metrics
        tables |= suite.tables
        not_measurable |= suite.not_measurable
        broken += suite.broken
    return Record(
        run_id=f"{recording.folder.name}-{uuid.uuid4().hex[:8]}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tier=recording.tier,
        pack=recording.pack,
        target=recording.target,
        provenance=_provenance(recording, suites.values()),
        slot_counts=_slot_counts(slots),
        metrics=metrics,
        not_measurable=not_measurable,
        broken=broken,
        durations_s=dict(durations_s),
        tables=tables,
    )


def _provenance(recording: Recording, suites: Iterable[SuiteResult]) -> Provenance:
    load: dict[str, str] = {}
    digests: dict[str, str] = {}
    for suite in suites:
        load |= suite.load
        digests |= suite.digests
    datasets = Path("datasets") / recording.pack
    origin = Origin(
        model=recording.environ.get("ASSAY_MODEL", "embedded"),
        load=load,
        digests=digests,
        files={
            "cards": datasets / "scenarios",
            "routing": datasets / "routing",
            "policy": recording.policy,
            "pack": Path("assistant/packs") / recording.pack,
        },
    )
    return collect_provenance(Path.cwd(), origin)


def _slot_counts(slots: Iterable[Slot]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for slot in slots:
        counts.setdefault(slot.suite, Counter())[slot.state] += 1
    return {suite: dict(counter) for suite, counter in counts.items()}


def _write_scores(path: Path, slots: Iterable[Slot]) -> None:
    """Slots of loaded turns: judged after the fact from their samples."""
    write_slots(path, (slot for slot in slots if slot.suite == "load"))


def _write_prompts(recording: Recording) -> None:
    """`prompts.json`, `{file: text}` of the pack, where the run played the pack itself."""
    if recording.target != "inprocess" and not recording.target.startswith("inprocess:"):
        return
    files = sorted((Path("assistant/packs") / recording.pack / "prompts").glob("*.md"))
    prompts = {file.stem: file.read_text(encoding="utf-8") for file in files}
    (recording.folder / "prompts.json").write_text(json.dumps(prompts, sort_keys=True), encoding="utf-8")


def _write_transcripts(path: Path, suites: Iterable[SuiteResult]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for suite in suites:
            for transcript in suite.transcripts:
                file.write(json.dumps(transcript_to_json(transcript), sort_keys=True) + "\n")
