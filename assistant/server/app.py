"""Builds the web application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from assistant.build import Now, Parts, open_assistant
from assistant.pack import Pack
from assistant.server import sockets
from assistant.server.problems import install_problems
from assistant.server.routes import router
from assistant.settings import Settings
from assistant.wire import WIRE_VERSION

TITLE = "Assay assistant"


def application() -> FastAPI:
    """The routes. Whoever serves it puts an open assistant into `app.state.assistant` first."""
    return _with_routes(FastAPI(title=TITLE, version=str(WIRE_VERSION)))


def create_app(
    settings: Settings,
    *,
    pack: str | Path | Pack,
    sandboxes: bool = False,
    now: Now | None = None,
    parts: Parts | None = None,
) -> FastAPI:
    """An application whose start opens the assistant (see `open_assistant`) and whose stop closes it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_assistant(settings, pack=pack, sandboxes=sandboxes, now=now, parts=parts) as assistant:
            app.state.assistant = assistant
            yield

    return _with_routes(FastAPI(title=TITLE, version=str(WIRE_VERSION), lifespan=lifespan))


def _with_routes(app: FastAPI) -> FastAPI:
    install_problems(app)
    app.include_router(router)
    app.include_router(sockets.router)
    return app
