"""A client of the official MCP library against `gateway mcp`, told what to do by the test on standard input.

usage: mcp_client.py ERA GATEWAY ARGUMENTS…   ERA: legacy (initialize), auto (asks the server), or a revision
One JSON object a line comes in, one goes out:
  {"do": "list"} | {"do": "call", "tool", "arguments", "seconds"?} | {"do": "cancel", "tool", "arguments"} | {"do": "end"}
"""
import asyncio
import json
import sys

import anyio
from mcp import StdioServerParameters


def say(**fields):
    print(json.dumps(fields), flush=True)


async def orders():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def shown(result):
    structured = getattr(result, "structured_content", None) or getattr(result, "structuredContent", None)
    failed = getattr(result, "is_error", None)
    if failed is None:
        failed = getattr(result, "isError", False)
    return {"text": result.content[0].text if result.content else "", "structured": structured, "failed": bool(failed)}


async def obey(client, progress):
    async for order in orders():
        try:
            if order["do"] == "end":
                return
            if order["do"] == "list":
                listed = await client.list_tools()
                say(tools=[tool.name for tool in listed.tools])
            elif order["do"] == "call":
                said = []

                async def told(done, total, message):
                    said.append(done)

                result = await client.call_tool(
                    order["tool"], order.get("arguments") or {}, **({"progress_callback": told} if progress else {}))
                say(progress=said, **shown(result))
            elif order["do"] == "cancel":
                with anyio.move_on_after(order.get("seconds", 0.5)) as scope:
                    await client.call_tool(order["tool"], order.get("arguments") or {})
                say(cancelled=scope.cancelled_caught)
        except Exception as error:  # what the library raises is what the test looks at
            say(error=str(error))


async def main():
    era, command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments)
    try:
        from mcp import Client
    except ImportError:
        # Version 1 of the library knows the earlier revisions only.
        from mcp import ClientSession
        from mcp.client.stdio import stdio_client

        async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
            begun = await session.initialize()
            say(version=begun.protocolVersion, name=begun.serverInfo.name)
            return await obey(session, True)
    async with Client(server, mode=era) as client:
        info = client.server_info
        say(version=client.protocol_version, name=info.name if info else None)
        await obey(client, True)


asyncio.run(main())
