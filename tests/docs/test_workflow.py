"""The workflow to copy is one that GitHub takes, and its commands exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "docs/ci/github-workflow.yml"


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [str(tool), "--builtin-schema", "vendor.github-workflows", str(path)], capture_output=True, text=True, check=False
    )


def test_the_workflow_fits_githubs_schema(tmp_path: Path) -> None:
    assert checked(WORKFLOW).returncode == 0
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on: ubuntu-latest", "runs_on: ubuntu-latest"))
    assert checked(broken).returncode == 1


def test_its_commands_are_those_of_the_project() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = (ROOT / "Makefile").read_text()
    from evals.cli.main import COMMANDS

    for line in (line.strip() for step in steps for line in step.splitlines()):
        if line.startswith("make "):
            assert f"\n{line.split()[1]}:" in targets
        if line.startswith(".venv/bin/assay "):
            assert line.split()[1] in COMMANDS
