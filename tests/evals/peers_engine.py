"""Times DeepEval and Inspect on trivial cases: `PYTHON tests/evals/peers_engine.py CASES` with an interpreter that has them.

Both run offline: DeepEval's own `evaluate` with two string metrics on given answers, Inspect's `eval` with its mock model and two scorers.
Prints one JSON object a line: name, version, seconds. A peer that is not installed is left out.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

os.environ.update(DEEPEVAL_TELEMETRY_OPT_OUT="YES", INSPECT_DISPLAY="none", ERROR_REPORTING="NO", DEEPEVAL_RESULTS_FOLDER="")


def deepeval(count: int) -> float:
    from deepeval import evaluate
    from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig
    from deepeval.metrics import ExactMatchMetric, PatternMatchMetric
    from deepeval.test_case import LLMTestCase

    cases = [LLMTestCase(input=f"question {n}", actual_output="It is 42.", expected_output="It is 42.") for n in range(count)]
    started = time.perf_counter()
    evaluate(
        test_cases=cases,
        metrics=[PatternMatchMetric(pattern=".*42.*"), ExactMatchMetric()],
        display_config=DisplayConfig(show_indicator=False, print_results=False),
        cache_config=CacheConfig(write_cache=False),
        async_config=AsyncConfig(max_concurrent=20, throttle_value=0),
    )
    return time.perf_counter() - started


def inspect_ai(count: int) -> float:
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes, match

    samples = [Sample(input=f"question {n}", target="42") for n in range(count)]
    # Without a usage of its own the mock counts tokens with a table it would download.
    usage = ModelUsage(input_tokens=2, output_tokens=4, total_tokens=6)
    answer = ModelOutput.from_content("mockllm/model", "It is 42.")
    answers = (answer.model_copy(update={"usage": usage}) for _ in range(count))
    task = Task(dataset=MemoryDataset(samples), scorer=[includes(), match(location="any")])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as logs:
        (log,) = eval(task, model=get_model("mockllm/model", custom_outputs=answers), log_dir=logs, display="none")
    assert log.status == "success", str(log.error)[:300]
    return time.perf_counter() - started


PEERS: dict[str, Callable[[int], float]] = {"deepeval": deepeval, "inspect-ai": inspect_ai}


if __name__ == "__main__":
    for name, run in PEERS.items():
        try:
            known = version(name)
        except PackageNotFoundError:
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            seconds = run(int(sys.argv[1]))
        sys.stdout.write(json.dumps({"peer": name, "version": known, "seconds": round(seconds, 3)}) + "\n")
