"""A run that is killed again and again loses nothing it had finished and ends as if nobody had touched it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("killed_runs.py")


def test_fifty_kills_at_random_moments_lose_no_finished_play() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "50", "20261121"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["kills"], told["lost"], told["same"]) == (50, 0, True)
    assert 0 < told["left_to_play"] < 1_200
