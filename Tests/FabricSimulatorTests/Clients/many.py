"""Opens N raw WebSocket connections (aiohttp), authenticates, joins a channel, says "ready", then waits until each has
got one message.created, and says how long both took. Arguments: endpoint, channel; tokens as a JSON array on stdin."""
import asyncio
import json
import sys
import time

import aiohttp


async def one(session, url, token, channel, ready, got):
    async with session.ws_connect(url, max_msg_size=0) as socket:
        async for message in socket:
            text = message.data
            if text.startswith("0"):
                await socket.send_str("40/realtime," + json.dumps({"token": token}))
            elif text == "2":
                await socket.send_str("3")
            elif text.startswith("40/realtime"):
                await socket.send_str("42/realtime,1" + json.dumps(["join_channel", {"channelId": channel}]))
            elif text.startswith("43/realtime,1"):
                ready()
            elif text.startswith("42/realtime") and "message.created" in text:
                got()
                return


async def main():
    endpoint, channel = sys.argv[1], sys.argv[2]
    tokens = json.loads(sys.stdin.readline())
    url = endpoint.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    counts = {"ready": 0, "got": 0, "first": 0.0}
    start = time.monotonic()

    def ready():
        counts["ready"] += 1
        if counts["ready"] == len(tokens):
            print(json.dumps({"event": "ready", "seconds": time.monotonic() - start}), flush=True)

    def got():
        counts["got"] += 1
        counts["first"] = counts["first"] or time.monotonic()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(one(session, url, token, channel, ready, got) for token in tokens))
    print(json.dumps({"event": "all", "spread": time.monotonic() - counts["first"], "count": counts["got"]}), flush=True)


asyncio.run(main())
