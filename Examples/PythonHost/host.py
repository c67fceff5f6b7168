#!/usr/bin/env python3
"""A host in Python: everything a gateway needs to let an agent take part, with the standard library alone.

    python3 host.py MODULE SECTION.json STATE_DIRECTORY ACCOUNT [TURNS]

MODULE is libFabricModule.so, SECTION.json what stands under channels.fabric in a gateway's configuration. Every message
that wakes the account is answered with "echo: <text>" and the files it came with. It ends after TURNS answers, or at
SIGTERM. The contract is gateway_channel.h.
"""
import ctypes
import json
import queue
import signal
import sys
import threading
from concurrent.futures import Future

ABI_VERSION = 1
OK = 0
TAKEN, ADOPTED, FINISHED, FAILED = 0, 1, 2, 3
INFO = 2


class Bytes(ctypes.Structure):
    """gateway_bytes: borrowed, valid only during the call."""
    _fields_ = [("data", ctypes.POINTER(ctypes.c_uint8)), ("count", ctypes.c_size_t)]

    @classmethod
    def of(cls, text):
        raw = text.encode()
        buffer = (ctypes.c_uint8 * len(raw)).from_buffer_copy(raw)
        return cls(buffer, len(raw))  # keeps the buffer as long as itself

    def text(self):
        return ctypes.string_at(self.data, self.count).decode() if self.count else ""


DELIVER = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, Bytes)
COMPLETE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int32, Bytes)
CHANGED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, Bytes)
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, Bytes)
REQUEST = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, Bytes)
SETTLE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, Bytes, ctypes.c_int32)
SHUTDOWN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class HostTable(ctypes.Structure):
    """gateway_host, as version 1 began. A later module does without what is not here."""
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deliver", DELIVER), ("complete", COMPLETE), ("account_changed", CHANGED), ("log", LOG)]


class ChannelTable(ctypes.Structure):
    """gateway_channel, as version 1 began. A later module writes no more than struct_size says."""
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32), ("instance", ctypes.c_void_p),
                ("id", Bytes), ("version", Bytes), ("configure", REQUEST), ("start_account", REQUEST),
                ("stop_account", REQUEST), ("send", REQUEST), ("settle", SETTLE), ("status", REQUEST),
                ("command", REQUEST), ("shutdown", SHUTDOWN)]


class Refused(Exception):
    """A request that did not end with OK."""


class Channel:
    """One open instance of a channel module."""

    def __init__(self, path, deliver):
        self._lock = threading.Lock()
        self._open = {}
        self._last = 0
        # ctypes frees a callback that nobody refers to; these live as long as the instance.
        self._host = HostTable(
            ABI_VERSION, ctypes.sizeof(HostTable), None,
            DELIVER(lambda _, delivery: deliver(json.loads(delivery.text()))),
            COMPLETE(self._complete),
            CHANGED(lambda _, status: print("status", status.text(), file=sys.stderr)),
            LOG(lambda _, level, record: level >= INFO and print("log", level, record.text(), file=sys.stderr)))
        self._table = ChannelTable(struct_size=ctypes.sizeof(ChannelTable))
        error = ctypes.create_string_buffer(512)
        open_channel = ctypes.CDLL(path).gateway_channel_open
        open_channel.restype = ctypes.c_int32
        if open_channel(ctypes.byref(self._host), ctypes.byref(self._table), error, ctypes.c_size_t(512)) != OK:
            raise Refused(error.value.decode())
        self.id = self._table.id.text()

    def request(self, name, **fields):
        """Makes a request; a Future of its result. It may be complete before the call returns."""
        future = Future()
        with self._lock:
            self._last += 1
            number = self._last
            self._open[number] = future
        getattr(self._table, name)(self._table.instance, number, Bytes.of(json.dumps(fields)))
        return future

    def settle(self, delivery, outcome):
        self._table.settle(self._table.instance, Bytes.of(delivery), outcome)

    def shutdown(self):
        self._table.shutdown(self._table.instance)

    def _complete(self, _, number, code, result):
        with self._lock:
            future = self._open.pop(number, None)
        if future is None:
            return
        value = json.loads(result.text() or "{}")
        if code == OK:
            future.set_result(value)
        else:
            future.set_exception(Refused(f"code {code}: {value.get('error', 'no reason')}"))


def main(module, section, state, account, turns=-1):
    deliveries = queue.SimpleQueue()  # may be filled from a signal handler too

    def deliver(delivery):
        # On the thread that serves all sockets: taken into a queue, and no more.
        if not delivery["wake"]:
            return ADOPTED
        deliveries.put(delivery)
        return TAKEN

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: deliveries.put(None))
    channel = Channel(module, deliver)
    with open(section, encoding="utf-8") as file:
        settings = json.load(file)
    found = channel.request("configure", channel=channel.id, file=section, keyPath="", directory=".",
                            stateDirectory=state, settings=settings).result(30)
    print("configured:", [row["accountId"] for row in found["accounts"]], file=sys.stderr)
    channel.request("start_account", accountId=account).result(30)
    while turns != 0:
        delivery = deliveries.get()
        if delivery is None:
            break
        text = delivery["message"]["text"]
        answer = channel.request(
            "send", account=delivery["account"], to=delivery["conversation"]["id"], text=f"echo: {text}",
            media=[{"path": file["path"], "name": file["name"]} for file in delivery["media"]],
            delivery=delivery["delivery"])
        # At once: the send completes only when its turn is settled.
        channel.settle(delivery["delivery"], FINISHED)
        try:
            print(json.dumps({"to": delivery["conversation"]["id"], "posted": answer.result()}), flush=True)
        except Refused as refused:
            print("the answer was not posted:", refused, file=sys.stderr)
        turns -= 1
    channel.request("stop_account", accountId=account, drainSeconds=2).result(30)
    channel.shutdown()


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:5], *map(int, sys.argv[5:]))
