# Python's websockets:  python3 python_websockets.py URL [PROTOCOL]; the steps are those of scenario.mjs.

import asyncio
import json
import sys

import websockets

CHANNEL = "room:peers"


class Client:
    def __init__(self, socket):
        self.socket = socket
        self.told = []

    async def send(self, **members):
        await self.socket.send(json.dumps(members))

    async def next(self):
        message = await asyncio.wait_for(self.socket.recv(), 10)
        if isinstance(message, str):
            self.told.append(json.loads(message))
        else:
            head, data = message.split(b"\n", 1)
            self.told.append({**json.loads(head), "bytes": data.hex()})


async def enter(url, protocol):
    socket = await websockets.connect(url, subprotocols=[protocol] if protocol else None)
    assert socket.subprotocol == protocol
    client = Client(socket)
    if protocol:
        await client.send(connect={}, ref=0)
        await client.next()
    await client.send(subscribe=CHANNEL, ref=1)
    await client.next()
    return client


async def main(url, protocol=None):
    a = await enter(url, protocol)
    b = await enter(url, protocol)
    await b.send(send=CHANNEL, event="say", data={"text": "grüß dich ✓ \U0001f319"}, ref="say")
    await b.send(send=CHANNEL, event="typing", data=[True], ref=3)
    await b.socket.send(b'{"send":"room:peers","event":"typing","ref":4}\n\x00\x0a\xff')
    await b.send(send=CHANNEL, event="shout", ref=5)
    await b.send(ping=True, ref=6)
    for _ in range(6):
        await b.next()
    for _ in range(3):
        await a.next()
    await a.send(unsubscribe=CHANNEL, ref=2)
    await a.next()
    large = "x" * 60000
    await b.send(send=CHANNEL, event="say", data=large, ref=7)
    await b.next()
    await b.next()
    b.told[-2]["data"] = "the same" if b.told[-2]["data"] == large else "something else"
    for client in a, b:
        await client.socket.close(1000)
    print(json.dumps({"said": [a.told, b.told], "closed": [a.socket.close_code, b.socket.close_code]}))


asyncio.run(main(*sys.argv[1:]))
