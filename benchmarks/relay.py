"""A relay that makes a registry on loopback as far away as one on the internet.

Started as a program of its own: `relay.py PORT MILLISECONDS` prints the port it listens on.
"""

from __future__ import annotations

import asyncio
import sys

_CHUNK = 1 << 18


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
) -> None:
    """Everything that comes goes out again, in order, each piece after the delay (seconds)."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)
    clock = asyncio.get_running_loop().time

    async def send() -> None:
        data = b"."
        while data:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - clock()))
            writer.write(data)
            await writer.drain()
        writer.close()

    sending = asyncio.create_task(send())
    try:
        data = b"."
        while data:
            data = await reader.read(_CHUNK)
            await queue.put((clock() + delay, data))
        await sending
    except ConnectionError:
        sending.cancel()
        writer.close()


async def serve(port: int, delay: float) -> None:
    """Relay connections to a port of loopback; `delay` in seconds, each way."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_forward(reader, back, delay), _forward(there, writer, delay))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
