"""Every registry of a run: the one owner of the connections, tokens and logins that it shares."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from launch_action.core.reference import Repository
from launch_action.oci.docker_config import Credentials
from launch_action.oci.host import Host, address_of
from launch_action.oci.mirrors import Mirror, parse_mirror
from launch_action.oci.registry import Elsewhere, RegistryContent
from launch_action.oci.retry import Note, Patience
from launch_action.oci.transport import Transport

# A mirror is a shortcut: one that is slow or ill is left for the origin soon.
_MIRROR_PATIENCE = Patience(tries=2, total=20.0)


class Registries:
    """Opens repositories; connections, tokens and upload limits are shared by host.

    `ca_file`: PEM certificates trusted besides the system's. `insecure`: hosts, with or without
    port, spoken to over plain http (loopback always is, until it asks for https). `mirrors`:
    `[HOST=]URL`, asked first for the content of that registry, in their order. `environment`: where
    proxies are read. `note` is told of retries and of mirrors that fail. `elsewhere` does
    what a registry itself does not.
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
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._credentials = credentials
        self._transport = Transport(ca_file=ca_file, environment=environment)
        self._insecure = insecure
        self._mirrors = tuple(map(parse_mirror, mirrors))
        self._patience = patience or Patience()
        self._note = note or _say_nothing
        self._hosts: dict[tuple[str, str], Host] = {}
        self._lock = threading.Lock()

    def open(
        self, repository: Repository, *, writable: bool = False, mirrored: bool = False
    ) -> RegistryContent:
        """The content of a repository. `writable` asks for the right to push with the first token.

        `mirrored` reads from the registry's mirrors first, which may be behind it: for what others
        publish, not for job versions.
        """
        registry = repository.registry
        origin = self._host(registry, address_of(registry, self._insecure))
        mirrors = [m for m in self._mirrors if m.registry == registry and mirrored and not writable]
        hosts = (*map(self._mirror, mirrors), origin)
        return RegistryContent(
            repository, hosts, writable=writable, elsewhere=self._elsewhere if writable else None
        )

    def close(self) -> None:
        """Close the connections; what was opened can still be used, over new ones."""
        self._transport.close()

    def __enter__(self) -> Registries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mirror(self, mirror: Mirror) -> Host:
        return self._host(mirror.host, mirror.address, _MIRROR_PATIENCE, mirror.prefix)

    def _host(
        self, name: str, address: str, patience: Patience | None = None, prefix: str = ""
    ) -> Host:
        with self._lock:
            key = (address, prefix)
            if key not in self._hosts:
                self._hosts[key] = Host(
                    name,
                    address,
                    self._transport,
                    self._credentials,
                    plain=address.startswith("http:"),
                    patience=patience or self._patience,
                    note=self._note,
                    prefix=prefix,
                )
            return self._hosts[key]


def _say_nothing(text: str) -> None:
    del text
