"""A turn, from request to `done`."""

from assistant.wire import TurnRequest


async def test_a_plain_turn(desk):
    async with desk.open() as assistant:
        reply = await assistant.reply(TurnRequest(message="loans please"))
    print(reply.model_dump_json(indent=1))
    assert reply.text == "You said loans please"
