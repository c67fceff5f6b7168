"""A Socket.IO server for the tests: python-socketio on aiohttp.

Prints its port as the first line. Ends when its standard input closes.
Commands come on standard input, one per line: `drop` (disconnect every client of every namespace),
`connections` (how many WebSockets there are), `cut` (close them all). Answers and what happens are printed, one line each.

usage: conformance.py [--ping SECONDS] [--timeout SECONDS] [--port N] [--cert FILE --key FILE]
"""
import argparse
import asyncio
import json
import ssl
import sys

import socketio
from aiohttp import web

options = argparse.ArgumentParser()
options.add_argument("--ping", type=float, default=25)
options.add_argument("--timeout", type=float, default=20)
options.add_argument("--port", type=int, default=0)
options.add_argument("--cert")
options.add_argument("--key")
options = options.parse_args()

server = socketio.AsyncServer(
    async_mode="aiohttp", ping_interval=options.ping, ping_timeout=options.timeout, cors_allowed_origins="*"
)
app = web.Application()
server.attach(app)
connected = set()


def say(*words):
    print(*words, flush=True)


def serve(namespace):
    async def connect(sid, environ, auth):
        token = (auth or {}).get("token")
        say("auth", namespace, json.dumps(auth))
        if token == "refused":
            raise socketio.exceptions.ConnectionRefusedError("bad token", {"code": 7})
        if token == "early":
            await server.emit("early", ["before", "connect"], to=sid, namespace=namespace)
        connected.add((sid, namespace))

    async def disconnect(sid):
        connected.discard((sid, namespace))
        say("gone", namespace)

    async def echo(sid, *arguments):
        await server.emit("echoed", tuple(arguments), to=sid, namespace=namespace)

    async def answer(sid, *arguments):
        return tuple(arguments)

    async def ignore(sid, *arguments):
        await asyncio.Event().wait()

    async def question(sid, text):
        def heard(*arguments):
            say("answered", json.dumps([a.hex() if isinstance(a, bytes) else a for a in arguments]))

        await server.emit("question", text, to=sid, namespace=namespace, callback=heard)

    async def binary(sid, data):
        await server.emit("binary", {"size": len(data), "data": data, "again": data[::-1]}, to=sid, namespace=namespace)

    async def leave(sid):
        await server.disconnect(sid, namespace=namespace)

    for handler in (connect, disconnect, echo, answer, ignore, question, binary, leave):
        server.on(handler.__name__, handler, namespace=namespace)


serve("/")
serve("/room")


async def commands():
    loop = asyncio.get_event_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = (await reader.readline()).decode().strip()
        if not line:
            if reader.at_eof():
                return
        elif line == "drop":
            for sid, namespace in list(connected):
                await server.disconnect(sid, namespace=namespace)
        elif line == "connections":
            say("connections", len(server.eio.sockets))
        elif line == "cut":
            for socket in list(server.eio.sockets.values()):
                await socket.close(wait=False)


async def main():
    runner = web.AppRunner(app)
    await runner.setup()
    context = None
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    site = web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=context)
    await site.start()
    say(site._server.sockets[0].getsockname()[1])
    await commands()
    # Whatever is under way: the test is over.
    import os

    os._exit(0)


asyncio.get_event_loop().run_until_complete(main())
