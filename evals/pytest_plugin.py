"""`pytest --cards datasets/qsr`: scenario cards as test items.

A card that fails a check fails, one that could not be judged is an error, and one that needs a language model the target does not have is
skipped with the reason. Nothing but this module is imported while the option is not given.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from evals.cards import Card
    from evals.targets.target import Target
    from evals.transcript import Transcript
    from reports.records import Slot


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("assay", "scenario cards")
    group.addoption(
        "--cards", metavar="DIR", help="Collect the scenario cards below DIR, such as datasets/qsr, instead of tests."
    )
    group.addoption(
        "--cards-target", metavar="SPEC", default="inprocess", help="What the cards are played on (default: inprocess)."
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cards") and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    given = config.getoption("--cards")
    if not given:
        return
    from evals.catalog import load_cards
    from evals.errors import AssayError

    folder = Path(str(given))
    scenarios = folder / "scenarios" if (folder / "scenarios").is_dir() else folder
    try:
        stage = Stage(str(config.getoption("--cards-target")), pack=folder.name if scenarios != folder else folder.parent.name)
        cards = load_cards(scenarios)
    except AssayError as error:
        raise pytest.UsageError(str(error)) from error
    items += [CardItem.from_parent(session, name=card.id, card=card, stage=stage) for card in cards]


class Stage:
    """The target, opened when the first card is played and closed with `close`."""

    def __init__(self, spec: str, pack: str) -> None:
        from evals.targets.opening import parse_target

        self._spec, self._pack = parse_target(spec), pack
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._target: Target | None = None

    @property
    def speaks_freely(self) -> bool:
        from evals.suites import speaks_freely

        return speaks_freely(self._spec, os.environ)

    def play(self, card: Card) -> tuple[Transcript, list[Slot]]:
        """Play and judge one card. Raises `AssayError` when the target cannot be opened or reached."""
        from evals.experiment import judge
        from evals.plan import plan_cards

        if self._runner is None:
            self._runner = asyncio.Runner()
        target = self._target or self._runner.run(self._open())
        transcript = self._runner.run(target.play(card, 0))
        (play,) = plan_cards([card], repeats=1, visible=target.visible, llm=True).plays
        return transcript, judge(play, transcript)

    async def _open(self) -> Target:
        from evals.simulation.users import SimulatedUser
        from evals.targets.opening import open_target
        from evals.targets.simulated import SimulatedTarget

        scratch = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-cards-"))
        opened = open_target(self._spec, pack=self._pack, environ=os.environ, store=Path(scratch))
        self._target = SimulatedTarget(await self._stack.enter_async_context(opened), SimulatedUser())
        return self._target

    def close(self) -> None:
        """Closed once; a stage that played nothing has nothing to close."""
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = self._target = None


class CardFailed(Exception):
    """A card did not pass; the message has a line per check."""


class CardItem(pytest.Item):
    """One card. It is played in set-up, so that what keeps it from being judged is an error, and judged in the test itself."""

    def __init__(self, *, card: Card, stage: Stage, **rest: Any) -> None:
        super().__init__(**rest)
        self._card, self._stage = card, stage
        self._slots: list[Slot] = []
        self.extra_keyword_matches.update([card.area, *card.tags])

    def setup(self) -> None:
        from reports.records import UNJUDGED_STATES

        if self._card.requires == "llm" and not self._stage.speaks_freely:
            pytest.skip("needs a language model; the embedded model cannot pass it")
        _, self._slots = self._stage.play(self._card)
        unjudged = [slot for slot in self._slots if slot.state in UNJUDGED_STATES and not slot.advisory]
        if unjudged:
            raise CardFailed("\n".join(f"{slot.state}: {slot.evaluator}: {slot.reason}" for slot in unjudged))

    def runtest(self) -> None:
        failed = [slot for slot in self._slots if slot.state != "pass" and not slot.advisory]
        if failed:
            raise CardFailed(
                "\n".join([*(f"{slot.evaluator}: {slot.reason}" for slot in failed), f"assay eval --card {self._card.id}"])
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from evals.errors import AssayError

        if isinstance(excinfo.value, CardFailed | AssayError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        return self._card.area, None, f"card {self._card.id}: {self._card.title}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    for stage in {item._stage for item in session.items if isinstance(item, CardItem)}:  # pyright: ignore[reportPrivateUsage]
        stage.close()
