"""A subscriber on the `websockets` package: five hundred trades without a gap, and a clean end.

usage: python3 subscriber.py ws://HOST:PORT/v1/ws plain|compressed
"""

import asyncio
import json
import sys

import websockets

TICKS = 500


def check(condition, what):
    if not condition:
        sys.exit(f"python websockets: {what}")


async def next_message(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 120))


async def answer(socket, number, between):
    """The answer to a command; what comes before it are ticks."""
    while (message := await next_message(socket))["t"] != "ack":
        between(message)
    check(message["id"] == number and not message["err"], f"an answer that is none: {message}")


async def main(url, compression):
    newest = {}

    def take(tick):
        check(tick["t"] == "trade", f"no trade: {tick}")
        before = newest.get(tick["ch"])
        check(before is None or tick["seq"] == before + 1, f"a gap after {before}: {tick}")
        newest[tick["ch"]] = tick["seq"]

    async with websockets.connect(url, subprotocols=["tickwire.v1.json"]) as socket:
        check(socket.subprotocol == "tickwire.v1.json", f"the subprotocol is {socket.subprotocol}")
        agreed = any("deflate" in extension.name for extension in socket.protocol.extensions)
        check(agreed == (compression == "compressed"), f"compression is agreed on: {agreed}")
        check((await next_message(socket))["t"] == "hello", "no greeting")
        await socket.send(json.dumps({"op": "sub", "id": 1, "ch": ["trade:*"]}))
        await answer(socket, 1, lambda message: check(False, f"before the answer: {message}"))
        for _ in range(TICKS):
            take(await next_message(socket))
        await socket.send(json.dumps({"op": "unsub", "id": 2, "ch": ["trade:*"]}))
        await answer(socket, 2, take)
        await socket.send(json.dumps({"op": "ping", "id": 3}))
        pong = await next_message(socket)
        check(pong["t"] == "pong", f"after the end of the subscription: {pong}")
        await (await socket.ping())
        await socket.close(1000, "done")
        check(socket.close_code == 1000, f"closed with {socket.close_code}")
    version = websockets.__version__
    print(f"python websockets {version}, {compression}: {TICKS} ticks of {len(newest)} channels, no gap, closed cleanly")


asyncio.run(main(sys.argv[1], sys.argv[2]))
