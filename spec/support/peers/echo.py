# Python's websockets against an endpoint that echoes:  python3 echo.py URL [none]; prints as echo.mjs does.

import asyncio
import json
import os
import sys

import websockets


async def main(url, compression="deflate"):
    socket = await websockets.connect(
        url, compression=None if compression == "none" else compression, max_size=1 << 28
    )
    echoed = {}

    async def check(what, data, sent=None):
        await socket.send(data if sent is None else sent)
        echoed[what] = await asyncio.wait_for(socket.recv(), 10) == data

    await check("text", "grüß dich ✓ \U0001f319")
    await check("nothing", "")
    await check("binary", bytes(range(256)))
    await check("fragmented", "fragmented", ["frag", "men", "ted"])
    await check("large", "a large text ✓ " * 70000)
    await check("noise", os.urandom(1 << 20))
    await (await socket.ping(b"between"))
    extensions = ", ".join(extension.name for extension in socket.extensions)
    await socket.close(4002, "enough")
    print(json.dumps({"extensions": extensions, "echoed": echoed, "closed": [socket.close_code, socket.close_reason]}))


asyncio.run(main(*sys.argv[1:]))
