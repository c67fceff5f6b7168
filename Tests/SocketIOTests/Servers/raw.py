"""A server that does what no honest server does, one behaviour per run.

Prints its port as the first line, then what it sees. Ends when its standard input closes.

usage: raw.py BEHAVIOUR
  header      an upgrade answer whose headers never end
  length      after the upgrade, a frame that announces 2^62 bytes, and then bytes
  fragments   after the upgrade, fragments that never end
  silent      accepts and says nothing
  open        upgrades, sends an open packet with short times, accepts the namespace, then nothing more
  noopen      upgrades and says nothing
  nonamespace opens, never answers CONNECT
  attachment  as open, then an event whose attachment never comes (with pings)
  garbage     as open, then a text frame that is no packet
  redirect    answers 302
  forbidden   answers 401
  close       as open, then a close frame 4001 "go away"
  recovery    as open with connection state recovery: see below
  early       an open packet in the same write as the upgrade's answer
  pieces      as open; one event in three fragments, then an event of 200,000 bytes in one frame
  wire HEX    as open, then these bytes; says what the client's pongs and close frame hold
  behind      the upgrade's answer and an open packet, then an event of 300,000 bytes, in pieces of 5,000 bytes
  pings       as open, then Engine.IO pings without end, and never reads what comes back
  controls    as open, then pings of WebSocket without end, and never reads what comes back
  late        as open; answers the CONNECT of /late when the main namespace sends `now`, again when it comes again
with --tls CERTIFICATE KEY at the end: over TLS
"""
import asyncio
import base64
import hashlib
import json
import os
import ssl
import struct
import sys

behaviour = sys.argv[1]
OPEN = '0{"sid":"e1","upgrades":[],"pingInterval":%s,"pingTimeout":%s,"maxPayload":1000000}'
connections = 0


def say(*words):
    print(*words, flush=True)


def frame(payload, opcode=1, final=True, announced=None):
    if isinstance(payload, str):
        payload = payload.encode()
    size = announced if announced is not None else len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += b"\x7e" + struct.pack("!H", size)
    else:
        head += b"\x7f" + struct.pack("!Q", size)
    return head + payload


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack("!H", await reader.readexactly(2))[0]
    elif size == 127:
        size = struct.unpack("!Q", await reader.readexactly(8))[0]
    mask = await reader.readexactly(4)
    data = await reader.readexactly(size)
    return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(data))


async def next_text(reader):
    while True:
        opcode, data = await read_frame(reader)
        if opcode == 1:
            return data.decode()
        if opcode == 8:
            say("closed", data.hex())
            raise ConnectionError


async def upgrade(reader, writer, more=b""):
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    say("request", json.dumps(request))
    key = [line.split(":", 1)[1].strip() for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n" + more
    )


async def accept(reader, writer, interval=300, timeout=200, extra=None):
    writer.write(frame(OPEN % (interval, timeout)))
    text = await next_text(reader)
    say("connect", text)
    writer.write(frame("40" + json.dumps({"sid": "s%d" % connections, **(extra or {})})))


async def drain_forever(reader, writer, data):
    while True:
        writer.write(data)
        await writer.drain()


async def swallow(reader):
    while True:
        opcode, data = await read_frame(reader)
        say("frame", opcode, data.decode("utf-8", "replace"))
        if opcode == 8:
            return


async def serve(reader, writer):
    global connections
    connections += 1
    say("accepted", connections)
    try:
        await behave(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, OSError):
        pass
    say("lost")
    writer.close()


async def behave(reader, writer):
    if behaviour == "silent":
        await asyncio.Event().wait()
    if behaviour == "header":
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nX-Endless: ")
        await drain_forever(reader, writer, b"a" * 65536)
    if behaviour == "redirect":
        await reader.readuntil(b"\r\n\r\n")
        port = writer.get_extra_info("sockname")[1]
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/else/\r\nContent-Length: 0\r\n\r\n" % port)
        return await swallow(reader)
    if behaviour == "forbidden":
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        return await swallow(reader)
    if behaviour == "early":
        await upgrade(reader, writer, frame(OPEN % (25000, 20000)))
        say("connect", await next_text(reader))
        writer.write(frame('40{"sid":"s"}') + frame('42["first",1]'))
        return await swallow(reader)
    if behaviour == "behind":
        big = frame(OPEN % (25000, 20000)) + frame("40" + json.dumps({"sid": "s"}))
        await upgrade(reader, writer, big)
        say("connect", await next_text(reader))
        data = frame('42["big","' + "z" * 300000 + '"]') + frame('42["small"]')
        for at in range(0, len(data), 5000):
            writer.write(data[at : at + 5000])
            await writer.drain()
        return await swallow(reader)
    await upgrade(reader, writer)
    if behaviour == "length":
        writer.write(frame(b"", announced=2**62))
        await drain_forever(reader, writer, b"a" * 65536)
    if behaviour == "fragments":
        writer.write(frame("a", final=False))
        await drain_forever(reader, writer, frame(b"a" * 1000, opcode=0, final=False) * 64)
    if behaviour == "noopen":
        return await swallow(reader)
    if behaviour == "nonamespace":
        writer.write(frame(OPEN % (25000, 20000)))
        return await swallow(reader)
    if behaviour == "recovery":
        # The first connection gives two events and breaks; the second must ask for what came after them.
        await accept(reader, writer, 25000, 20000, {"pid": "private1"})
        if connections == 1:
            writer.write(frame('42["m",1,"off-1"]') + frame('42["m",2,"off-2"]'))
            await writer.drain()
            await next_text(reader)
            writer.transport.abort()
            return
        writer.write(frame('42["m",3,"off-3"]'))
        return await swallow(reader)
    await accept(reader, writer, *((300, 200) if behaviour == "open" else (25000, 20000)))
    if behaviour == "late":
        asked = given = 0
        while True:
            text = await next_text(reader)
            say("text", text)
            if text.startswith("40/late"):
                asked += 1
            elif text == '42["now"]' and asked > given:
                given += 1
                writer.write(frame('40/late,' + json.dumps({"sid": "late %d" % given})))
    if behaviour == "attachment":
        writer.write(frame('451-["b",{"_placeholder":true,"num":0}]'))
        while True:
            writer.write(frame("2"))
            await asyncio.sleep(0.1)
    if behaviour == "wire":
        writer.write(bytes.fromhex(sys.argv[2]))
        while True:
            opcode, data = await read_frame(reader)
            if opcode == 10:
                say("pong", data.decode())
            if opcode == 8:
                say("closed", data.hex())
                return
    if behaviour in ("pings", "controls"):
        reader._transport.pause_reading()
        await drain_forever(reader, writer, (frame("2") if behaviour == "pings" else frame(b"p" * 125, 9)) * 4096)
    if behaviour == "garbage":
        writer.write(frame('42{"no":"event"}'))
    if behaviour == "close":
        writer.write(frame(struct.pack("!H", 4001) + b"go away", opcode=8))
    if behaviour == "pieces":
        writer.write(frame('42["pie', final=False) + frame('ces","', opcode=0, final=False) + frame('x"]', opcode=0))
        writer.write(frame('42["long","' + "y" * 200000 + '"]'))
    await swallow(reader)


async def main():
    context = None
    if "--tls" in sys.argv:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[-2:])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    say(server.sockets[0].getsockname()[1])
    loop = asyncio.get_event_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        pass
    os._exit(0)


asyncio.run(main())
