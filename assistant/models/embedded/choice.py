"""Which tool a request is for: by meaning and wording against what each tool says of itself, and by the form of the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.models.embedded.language import asks_how, core, form
from assistant.models.embedded.similarity import Similarity
from assistant.models.embedded.toolbook import ToolCard

READ_THRESHOLD = 0.48
WRITE_THRESHOLD = 0.56
"""A tool that changes something needs a stronger match than one that only reads."""
BARE_DISCOUNT = 0.08
"""A tool without example requests is judged by its description, which never matches a request as closely as an example does."""
FORM_PENALTY = {"read": 0.06, "write": 0.22}
"""A question put to a tool whose closest example is no question: "is one logged?" is not "log one"."""
HOW_PENALTY = 0.6
"""The same for "how do I log one?" put to a tool that changes something: never a command, however close the words."""


@dataclass(frozen=True, kw_only=True)
class ToolScore:
    """`margin` is the score above the tool's own threshold: negative means the match is too weak to act on."""

    card: ToolCard
    score: float
    margin: float


class ToolChoice:
    """Scores tools for a request. Holds no state beyond the shared similarity cache."""

    def __init__(self, similarity: Similarity) -> None:
        self._similarity = similarity

    def rank(self, request: str, cards: Sequence[ToolCard]) -> list[ToolScore]:
        """All acting tools (never the knowledge search), best margin first; ties keep the given order."""
        scored = [self.score(request, card) for card in cards if not card.is_knowledge]
        return sorted(scored, key=lambda one: -one.margin)

    def score(self, request: str, card: ToolCard) -> ToolScore:
        asked = core(request)
        asking = form(request) == "question"
        penalty = FORM_PENALTY[card.effect] if asking else 0.0
        if asking and card.effect == "write" and asks_how(request):
            penalty = HOW_PENALTY
        best = 0.0
        for example in card.examples:
            fits = form(example) == "question" and asks_how(example) == asks_how(request)
            best = max(best, self._similarity.match(asked, example) - (0.0 if fits else penalty))
        for claim in card.claims:
            best = max(best, self._similarity.match(asked, claim) - (penalty if card.effect == "write" else 0.0))
        threshold = WRITE_THRESHOLD if card.effect == "write" else READ_THRESHOLD
        if not card.examples:
            threshold -= BARE_DISCOUNT
        return ToolScore(card=card, score=best, margin=best - threshold)
