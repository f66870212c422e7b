"""Every registry of a run: the one owner of the connections, tokens and logins that it shares."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType

from launch_action.core.reference import DOCKER_HUB, Repository
from launch_action.oci.docker_config import Credentials
from launch_action.oci.host import Host, address_of, mirror_address
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Note, Patience
from launch_action.oci.transport import Transport

# A mirror is a shortcut: one that is slow or ill is left for the origin soon.
_MIRROR_PATIENCE = Patience(tries=2, total=20.0)


class Registries:
    """Opens repositories; connections, tokens and upload limits are shared by host.

    `ca_file`: PEM certificates trusted besides the system's. `insecure`: hosts, with or without
    port, spoken to over plain http (loopback always is, until it asks for https). `mirrors`: base
    URLs asked for Docker Hub's content first. `environment`: where proxies are read. `note` is
    told of retries and of mirrors that fail.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        ca_file: str = "",
        insecure: tuple[str, ...] = (),
        mirrors: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        note: Note | None = None,
    ) -> None:
        self._credentials = credentials
        self._transport = Transport(ca_file=ca_file, environment=environment)
        self._insecure = insecure
        self._mirrors = tuple(mirror_address(mirror) for mirror in mirrors)
        self._patience = patience or Patience()
        self._note = note or _say_nothing
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    def open(self, repository: Repository, *, writable: bool = False) -> RegistryContent:
        """The content of a repository. `writable` asks for the right to push with the first token,
        and reads from the registry itself, never from a mirror."""
        origin = self._host(repository.registry, address_of(repository.registry, self._insecure))
        hosts = [origin]
        if repository.registry == DOCKER_HUB and not writable:
            hosts = [*(self._mirror(url) for url in self._mirrors), origin]
        return RegistryContent(repository, tuple(hosts), writable=writable)

    def close(self) -> None:
        """Close the connections; what was opened can still be used, over new ones."""
        self._transport.close()

    def __enter__(self) -> Registries:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _mirror(self, url: str) -> Host:
        return self._host(url.partition("://")[2], url, patience=_MIRROR_PATIENCE)

    def _host(self, name: str, address: str, patience: Patience | None = None) -> Host:
        with self._lock:
            if address not in self._hosts:
                self._hosts[address] = Host(
                    name,
                    address,
                    self._transport,
                    self._credentials,
                    plain=address.startswith("http:"),
                    patience=patience or self._patience,
                    note=self._note,
                )
            return self._hosts[address]


def _say_nothing(text: str) -> None:
    del text
