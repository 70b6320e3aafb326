"""One distributed run, as a process that can be put into a network namespace: `python fleet_master.py FOLDER TARGET HOST PORT EXPECT`.

Prints what the run concluded as JSON. `FOLDER` holds `script.jsonl` and `profile.yaml`; the token is in the environment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from loadtests.fleet import Gathering
from loadtests.links import TOKEN_VARIABLE
from loadtests.runner import LoadPlan, run_load
from loadtests.traffic import load_profile


def main() -> None:
    folder, target, host, port, expect = Path(sys.argv[1]), *sys.argv[2:]
    gathering = Gathering(host=host, port=int(port), expect=int(expect), token=os.environ[TOKEN_VARIABLE])
    plan = LoadPlan(
        profile=load_profile(folder / "profile.yaml"),
        script=folder / "script.jsonl",
        base_url=target,
        out_dir=folder,
        server_pid=None,
        seed=3,
        calibration_s=0.0,
        gathering=gathering,
    )
    result = run_load(plan)
    measured = [sample.sample for sample in result.measured()]
    json.dump({"broken": result.broken, "measured": measured, "hosts": result.tables["load"]["hosts"]}, sys.stdout)


if __name__ == "__main__":
    main()
