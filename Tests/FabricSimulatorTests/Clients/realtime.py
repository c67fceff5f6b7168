"""An independent client of /realtime (python3-socketio). Commands as JSON lines on stdin, events as JSON lines on stdout.

Commands: {"do":"join","channel":C} {"do":"leave","channel":C} {"do":"end"}
Argument 1: the guild's endpoint; argument 2: the token; argument 3 (optional): "reconnect".
"""
import asyncio
import json
import sys

import socketio


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


async def main():
    endpoint, token = sys.argv[1], sys.argv[2]
    client = socketio.AsyncClient(
        reconnection=len(sys.argv) > 3, reconnection_delay=0.05, reconnection_delay_max=0.1, randomization_factor=0)

    @client.on("*", namespace="/realtime")
    async def anything(event, *arguments):
        say(event, data=arguments[0] if arguments else None)

    @client.event(namespace="/realtime")
    async def connect():
        say("connect")

    @client.event(namespace="/realtime")
    async def disconnect(*reason):
        say("disconnect")

    @client.event(namespace="/realtime")
    async def connect_error(data=None):
        say("connect_error", data=data)

    try:
        await client.connect(
            endpoint, auth={"token": token}, namespaces=["/realtime"], transports=["websocket"], wait_timeout=5)
    except Exception as error:
        say("failed", data=str(error))
        return

    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if command["do"] == "end":
            break
        if command["do"] in ("join", "leave"):
            try:
                answer = await client.call(
                    command["do"] + "_channel", {"channelId": command["channel"]}, namespace="/realtime",
                    timeout=command.get("timeout", 60))
                say("ack", data=answer)
            except Exception as error:
                say("no-ack", data=type(error).__name__)
    await client.disconnect()
    say("end")


asyncio.run(main())
