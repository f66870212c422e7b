"""An engine on the network: a TCP port of loopback before the machine's engine, with faults."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from support.engine import engine_socket

_PIECE = 64 * 1024


@dataclass
class EngineProxy:
    """`address` is for DOCKER_HOST."""

    listener: socket.socket
    engine: str
    pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    refuses: bool = False
    # Nothing is forwarded from the engine any more, and nobody is told.
    silent: bool = False

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def break_connections(self) -> None:
        """Cut what is connected; new connections are taken unless it `refuses` them."""
        for pair in self.pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.refuses:
                    client.close()
                    continue
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.engine)
                self.pairs.append((client, engine))
                for origin, goal in ((client, engine), (engine, client)):
                    threading.Thread(target=self._pass, args=(origin, goal), daemon=True).start()

    def _pass(self, origin: socket.socket, goal: socket.socket) -> None:
        with suppress(OSError):
            while data := origin.recv(_PIECE):
                if not (self.silent and origin.family == socket.AF_UNIX):
                    goal.sendall(data)
            if not self.silent:
                goal.shutdown(socket.SHUT_WR)


@contextmanager
def engine_proxy() -> Iterator[EngineProxy]:
    """A proxy that serves until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = EngineProxy(listener, engine_socket())
        threading.Thread(target=proxy.serve, daemon=True).start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            proxy.break_connections()
