"""A raw WebSocket (aiohttp): sends the text frames given as a JSON array on stdin once the Engine.IO open packet is there,
prints every frame that comes, and "closed" with the code at the end. Argument: endpoint."""
import asyncio
import json
import sys

import aiohttp


async def main():
    url = sys.argv[1].replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    frames = json.loads(sys.stdin.readline())
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, max_msg_size=0) as socket:
            async for message in socket:
                if message.data.startswith("0{"):
                    for frame in frames:
                        await socket.send_str(frame)
                print(json.dumps({"event": "frame", "data": message.data}), flush=True)
            print(json.dumps({"event": "closed", "code": socket.close_code}), flush=True)


asyncio.run(main())
