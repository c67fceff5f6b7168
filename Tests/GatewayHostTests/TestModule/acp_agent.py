"""A small agent of the Agent Client Protocol for the host's tests; what it is asked first in a message says what it does."""
import json
import os
import sys
import threading

lock = threading.Lock()
stopped = {}
sessions = 0


def write(**message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def say(session, text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    write(method="session/update", params={"sessionId": session, "update": update})


def prompt(id, session, text, blocks):
    word = text.split()[0] if text.split() else ""
    if word == "die":
        os._exit(3)
    elif word == "hang":
        stopped[session] = threading.Event()
        stopped[session].wait()
        return write(id=id, result={"stopReason": "cancelled"})
    elif word == "deaf":
        return
    elif word == "environment":
        say(session, "hidden" if "TEST_SECRET" not in os.environ else "seen")
    elif word == "blocks":
        say(session, f"{session} heard {blocks} blocks")
    else:
        say(session, f"{session} heard ")
        say(session, word)
    write(id=id, result={"stopReason": "end_turn"})


for line in sys.stdin:
    message = json.loads(line)
    method, parameters = message.get("method"), message.get("params", {})
    if method == "initialize":
        sys.stderr.write("ready\n")
        sys.stderr.flush()
        write(id=message["id"], result={"protocolVersion": 1, "agentCapabilities": {}})
    elif method == "session/new":
        sessions += 1
        write(id=message["id"], result={"sessionId": f"s{sessions}"})
    elif method == "session/prompt":
        arguments = (message["id"], parameters["sessionId"], parameters["prompt"][0].get("text", ""),
                     len(parameters["prompt"]))
        threading.Thread(target=prompt, args=arguments, daemon=True).start()
    elif method == "session/cancel" and parameters["sessionId"] in stopped:
        stopped.pop(parameters["sessionId"]).set()
