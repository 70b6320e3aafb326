"""Tells another program something, by one POST of JSON to an address that is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from evals.errors import EvidenceError

TIMEOUT_S = 5.0
ATTEMPTS = 2


def post_json(url: str, payload: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> None:
    """POST `payload`; once more after no answer, HTTP 429 or 5xx. Redirects are not followed.

    Raises `EvidenceError` when nobody took it; its message never holds the address.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            response = httpx2.post(url, json=payload, timeout=timeout_s)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError):
            reason = "it is not an http(s) address"
            break
        except httpx2.HTTPError as error:
            reason = type(error).__name__
            continue
        if response.is_success:
            return
        reason = f"HTTP {response.status_code}"
        if response.status_code < 500 and response.status_code != 429:
            break
    # No cause: the text of a client's error may hold the address.
    raise EvidenceError(
        f"the webhook did not take the message ({reason}); check the address in its environment variable"
    ) from None
