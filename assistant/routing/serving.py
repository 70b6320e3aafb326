"""Which router serves a pack: the one of its utterances, or one that was trained for it and is kept in a model folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from assistant.encoder import SentenceEncoder
from assistant.routing.head import NO_AGENT
from assistant.routing.router import Router, read_language
from assistant.routing.stored import ModelError, load_model, own_encoder


def serving_router(pack: Path, agents: Collection[str], encoder: SentenceEncoder, cache_dir: Path, model: Path | None) -> Router:
    """The router of the pack folder, or with `model` that of a model folder, which judges languages by the pack's utterances.

    A model folder with a tuned encoder reads with that one, else with `encoder`. Raises `RoutingDataError`, `EncoderError`, and `ModelError`
    when the folder cannot be used or names agents that the pack does not have.
    """
    if model is None:
        return Router.load(pack, encoder, cache_dir)
    router, _ = load_model(model, own_encoder(model, cache_dir) or encoder)
    foreign = {str(agent) for agent in router.head.agents} - {*agents, NO_AGENT}
    if foreign:
        raise ModelError(
            f"{model}: chooses {', '.join(sorted(foreign))}, and the pack's agents are {', '.join(sorted(agents))};"
            " train it on texts with the pack's agents"
        )
    router.language = read_language(pack, router.encoder, cache_dir)
    return router
