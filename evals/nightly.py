"""What a night does beside its release: which runs have had their time, and when the next one begins."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

from reports.history import read_history
from reports.records import RecordError, read_record


def expired(runs: Path, keep: int) -> list[Path]:
    """Nightly run folders older than the newest `keep`, oldest first.

    A run that was ever accepted as baseline, that waits for the tracker or whose record cannot be read is never among them.
    """
    accepted = {event.run_id for event in read_history(runs).events}
    nights: list[tuple[str, Path]] = []
    for path in runs.glob("*/record.json"):
        try:
            record = read_record(path)
        except RecordError:
            continue
        waits = not (path.parent / "track.json").exists()
        if record.tier == "nightly":
            nights.append((record.created_at, path.parent if record.run_id not in accepted and not waits else Path()))
    old = sorted(nights)[: max(0, len(nights) - keep)]
    return [folder for _, folder in old if folder != Path()]


def remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def next_start(at: clock_time, now: datetime) -> datetime:
    """The next moment after `now` at which the clock, in the zone of `now`, shows `at`."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
