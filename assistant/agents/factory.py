"""Builds one pydantic-ai agent per specialist of a pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic_ai import Agent, RunContext
from pydantic_ai.models import Model

from assistant.agents.knowledge import search_knowledge
from assistant.agents.prompts import Prompt, load_prompts
from assistant.agents.toolset import FixedTools, fixed_tools
from assistant.deps import TurnDeps
from assistant.pack import Pack, PackAgent
from assistant.settings import Settings

TOOL_RETRIES = 2


@dataclass(frozen=True, kw_only=True)
class Specialist:
    """An agent without its tools and model, which each turn wraps for itself (`ToolExecutor`, `WatchedModel`)."""

    name: str
    agent: Agent[TurnDeps, str]
    model: Model
    tools: FixedTools
    deps_type: type[TurnDeps]
    when_failing: str = ""


def build_specialists(pack: Pack, settings: Settings, resolve: Callable[[str], Model]) -> Mapping[str, Specialist]:
    """Agent name -> specialist. `resolve` turns a model string into a model; each string is resolved once.

    Raises `PackError` when a prompt cannot be used.
    """
    prompts = load_prompts(pack)
    names = {name: settings.model_for(name, agent.model) for name, agent in pack.agents.items()}
    models = {name: resolve(name) for name in sorted(set(names.values()))}
    return {name: _specialist(agent, prompts[name], models[names[name]], settings) for name, agent in pack.agents.items()}


def _specialist(entry: PackAgent, prompt: Prompt, model: Model, settings: Settings) -> Specialist:
    limits = {"max_tokens": settings.max_output_tokens, "timeout": settings.request_timeout_s}
    spec = entry.spec.model_copy(update={"model": None, "model_settings": {**limits, **(entry.spec.model_settings or {})}})

    # A plain function would be run in a thread, twice a turn.
    async def instructions(ctx: RunContext[TurnDeps]) -> str:
        return prompt.render(ctx.deps)

    agent = Agent.from_spec(
        spec, model=model, deps_type=TurnDeps, output_type=str, instructions=instructions, retries=TOOL_RETRIES
    )
    tools = fixed_tools([*entry.tools, search_knowledge], max_retries=TOOL_RETRIES)
    return Specialist(
        name=entry.name, agent=agent, model=model, tools=tools, deps_type=entry.deps_type, when_failing=entry.when_failing
    )
