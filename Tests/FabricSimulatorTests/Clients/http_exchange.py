"""Sends the requests given on stdin (one JSON array) with the standard library, one after the other, each on a
connection of its own, and prints what came as one JSON array. A request: url, method?, headers?, body? (text),
upload? {name, mediaType, text or size}, timeout?, digest?."""
import http.client
import json
import sys
from urllib.parse import urlsplit

BOUNDARY = "sim-boundary-7d1"


def upload(connection, target, request):
    part = request["upload"]
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{part['name']}\"\r\n"
        f"Content-Type: {part.get('mediaType', 'application/octet-stream')}\r\n\r\n").encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    size = part.get("size")
    data = part.get("text", "").encode()
    length = len(head) + len(tail) + (len(data) if size is None else size)
    connection.putrequest("POST", target)
    for name, value in request.get("headers", {}).items():
        connection.putheader(name, value)
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    connection.send(head)
    if size is None:
        connection.send(data)
    else:
        block = bytes(range(256)) * 4096
        while size > 0:
            connection.send(block[:min(size, len(block))])
            size -= len(block)
    connection.send(tail)


def perform(request):
    parts = urlsplit(request["url"])
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=request.get("timeout", 20))
    target = parts.path + ("?" + parts.query if parts.query else "")
    try:
        if "upload" in request:
            upload(connection, target, request)
        else:
            body = request.get("body")
            connection.request(
                request.get("method", "GET"), target, body.encode() if body is not None else None,
                request.get("headers", {}))
        response = connection.getresponse()
        if request.get("count"):
            total = 0
            while piece := response.read(1 << 20):
                total += len(piece)
            text = str(total)
        else:
            text = response.read().decode("utf-8", "replace")
        return {"status": response.status, "headers": {k.lower(): v for k, v in response.getheaders()}, "body": text}
    except Exception as error:
        return {"status": 0, "headers": {}, "body": "", "error": type(error).__name__}
    finally:
        connection.close()


print(json.dumps([perform(request) for request in json.load(sys.stdin)]))
