"""Prompts: Jinja2 templates of a pack, checked when loaded and filled at every turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined, Template, TemplateSyntaxError, meta

from assistant.deps import TurnDeps
from assistant.pack import Pack, PackAgent, PackError, PackFault, nearest

TURN_VARIABLES = ("agent", "agents", "pack", "today", "time", "user_id")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One agent's template with what does not change between turns."""

    template: Template
    fixed: Mapping[str, object]

    def render(self, deps: TurnDeps) -> str:
        """The instructions of one turn. `today` is a date and `time` a time of day, as the turn's clock has them."""
        now = deps.now()
        return self.template.render(
            **self.fixed, today=now.date().isoformat(), time=now.strftime("%H:%M"), user_id=deps.user_id
        ).strip()


def load_prompts(pack: Pack) -> dict[str, Prompt]:
    """Agent name -> its prompt. Raises `PackError` with every template that cannot be read or names an unknown variable."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    fixed: dict[str, object] = {
        **pack.variables,
        "pack": pack.title,
        "agents": {name: agent.spec.description for name, agent in pack.agents.items()},
    }
    known = {*fixed, *TURN_VARIABLES}
    faults: list[PackFault] = []
    prompts: dict[str, Prompt] = {}
    for name, agent in pack.agents.items():
        source = agent.prompt.read_text(encoding="utf-8")
        found = list(_faults(environment, agent, source, known))
        faults += found
        if not found:
            prompts[name] = Prompt(template=environment.from_string(source), fixed={**fixed, "agent": name})
    if faults:
        raise PackError(faults)
    return prompts


def _faults(environment: Environment, agent: PackAgent, source: str, known: Iterable[str]) -> Iterable[PackFault]:
    file = f"prompts/{agent.prompt.name}"
    try:
        named = meta.find_undeclared_variables(environment.parse(source))
    except TemplateSyntaxError as error:
        yield PackFault(file=file, field=f"line {error.lineno}", fault=str(error.message))
        return
    for name in sorted(named - set(known)):
        yield PackFault(file=file, field=name, fault="unknown variable", nearest=nearest(name, known))
