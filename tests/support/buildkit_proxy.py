"""The BuildKit inside an engine as a daemon of its own: a builder elsewhere, or in a container.

An engine gives its BuildKit's gRPC interface to whoever upgrades `POST /grpc` to h2c; other
builders speak gRPC from the first byte. This stands between the two, byte for byte.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
# What buildx starts in a container of its own, on a network that is the machine's: a daemon that
# is nothing, and a client that connects its standard streams to the proxy.
DAEMON = "#!/bin/sh\nexec sleep 3600\n"
CLIENT = """\
#!/usr/bin/env python3
import os, socket, sys, threading
if "dial-stdio" not in sys.argv:
    sys.exit(0)
daemon = socket.create_connection(("127.0.0.1", {port}))
def back():
    while data := daemon.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    daemon.sendall(data)
daemon.shutdown(socket.SHUT_WR)
threading.Event().wait(5)
"""


@contextmanager
def buildkit_at(engine: str, place: Path | None = None) -> Iterator[str]:
    """A socket behind which the engine's (`unix://...`) BuildKit is: at `place`, else a port of
    loopback. Yields the address, `unix://...` or `tcp://127.0.0.1:PORT`."""
    with socket.socket(socket.AF_UNIX if place else socket.AF_INET) as listener:
        listener.bind(str(place) if place else ("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, engine), daemon=True).start()
        try:
            yield f"unix://{place}" if place else f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, engine: str) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, engine), daemon=True).start()


def _serve(client: socket.socket, engine: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as upstream:
        upstream.connect(engine.removeprefix("unix://"))
        upstream.sendall(_UPGRADE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += upstream.recv(1)
        assert b" 101 " in answer.split(b"\r\n")[0], answer
        back = threading.Thread(target=_pipe, args=(upstream, client), daemon=True)
        back.start()
        _pipe(client, upstream)
        back.join()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
