"""What the assistant adds to its model's time, without guessing: `python tests/loadtests/benchmark_overhead.py [ROUNDS]`, from the project's folder.

A model server of known delays is asked directly and through the assistant, in interleaved rounds, by the client that makes the load. The
difference of a round's means is the added latency; rounds are units of a Student t interval. Beside it stands what the assistant's own
spans say: the turn's span less the model's, once as the assistant measured it, its model client included, and once as the model's server
keeps it. A second model server that is 20 ms slower is the known answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean

from assistant.wire import TurnRequest
from evals.serving import served_assistant
from evals.targets.opening import private_environ
from loadtests.lines import CompletionLine
from loadtests.played import Played
from loadtests.stream import TurnClient
from reports.statistics.means import mean_estimate

TTFT_S, GAP_S, TOKENS = 0.1, 0.005, 30
KNOWN_S = 0.020
MODEL_S = TTFT_S + (TOKENS - 1) * GAP_S
TURNS = 5
Round = Callable[[], tuple[float, float, float]]
MESSAGE = "How long may a cooked patty stay in the holding cabinet?"


class TurnFailed(Exception):
    """A round with a turn that was not answered is no round; it is left out whole and counted."""


@contextmanager
def model_server(ttft_s: float) -> Iterator[str]:
    script = Path(__file__).with_name("paced_server.py")
    words = [sys.executable, str(script), str(ttft_s), str(GAP_S), str(TOKENS)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def turn(play: Callable[[Played], None]) -> tuple[float, Played]:
    played = Played()
    started = time.monotonic()
    play(played)
    if played.outcome != "ok" or played.t_done is None:
        raise TurnFailed(played.outcome)
    return played.t_done - started, played


def directly(url: str) -> tuple[float, float, float]:
    """Mean seconds of a round's turns, and nothing of spans."""
    times = []
    for _ in range(TURNS):
        line = CompletionLine(client=TurnClient(base_url=url, timeout_s=10.0), model="paced")
        times.append(turn(lambda played, line=line: line.play(TurnRequest(message=MESSAGE), played))[0])
    return fmean(times), 0.0, 0.0


def through(url: str) -> tuple[float, float, float]:
    """Mean seconds of a round's turns, and of what their spans leave beside the model: by its own span, and by its server's time."""
    client, times, spans, kept = TurnClient(base_url=url, timeout_s=10.0), [], [], []
    for _ in range(TURNS):
        took, played = turn(lambda played: client.play(TurnRequest(message=MESSAGE), played))
        usage = next(event for event in played.events if event["type"] == "usage")
        assert usage["model_calls"] == 1, usage
        timings = played.events[-1]["timings"]
        times.append(took)
        spans.append(timings["total_s"] - timings["model_s"])
        kept.append(timings["total_s"] - MODEL_S)
    return fmean(times), fmean(spans), fmean(kept)


def compare(name: str, base: Round, other: Round, rounds: int) -> None:
    base(), other()
    added, spans, kept = [], [], []
    for number in range(rounds):
        first, second = (base, other) if number % 2 == 0 else (other, base)
        try:
            one, two = first(), second()
        except TurnFailed:
            continue
        slow, fast = (two, one) if number % 2 == 0 else (one, two)
        added.append(slow[0] - fast[0])
        spans.append(slow[1])
        kept.append(slow[2])
    wide = mean_estimate(added, confidence=0.975)
    assert wide.value is not None and wide.low is not None and wide.high is not None
    beside = " | ".join(
        f"{mean * 1000:.1f} ({mean / wide.value - 1:+.0%})" if mean else "–" for mean in (fmean(spans), fmean(kept))
    )
    sys.stdout.write(
        f"| {name} | {len(added)} of {rounds} x {TURNS} | {wide.value * 1000:.1f} | {wide.low * 1000:.1f} to {wide.high * 1000:.1f} | {beside} |\n"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    sys.stdout.write(f"load average {os.getloadavg()[0]:.1f}\n")
    sys.stdout.write(
        "| compared | rounds kept x turns | added ms | 95 % interval | by spans ms | by spans, model's own time ms |\n|---|---|---|---|---|---|\n"
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model, slower = stack.enter_context(model_server(TTFT_S)), stack.enter_context(model_server(TTFT_S + KNOWN_S))
        environ = private_environ(os.environ, folder / "store")
        environ = {**environ, "ASSAY_MODEL": "openai-chat:paced", "ASSAY_OPENAI_BASE_URL": model, "ASSAY_OPENAI_API_KEY": "none"}
        served = stack.enter_context(served_assistant(["--pack", "qsr"], environ=environ, log=folder / "log"))
        compare("a model server 20 ms slower", lambda: directly(model), lambda: directly(slower), rounds)
        compare("through the assistant", lambda: directly(model), lambda: through(served.url), rounds)


if __name__ == "__main__":
    main()
