"""Who this machine is at W&B: server, key, entity and project, from where W&B's SDK has them.

Order, as in the W&B SDK 0.31 (`wandb_setup.py`, `sdk/lib/wbauth`): options, environment, the
settings file of the directory (`wandb/settings`), that of the user (`~/.config/wandb/settings`);
the key of the environment before that of the netrc file, which `wandb login` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError

if TYPE_CHECKING:
    from launch_action.wandb.server import Server

DEFAULT_URL = "https://api.wandb.ai"
# W&B's own service answers under all of these names: `wandb login` of any time serves.
_SAME = frozenset({"api.wandb.ai", "api.forge.coreweave.com"})
_FORGE = "https://forge.coreweave.com/wandb"


@dataclass(frozen=True, slots=True)
class Account:
    """What is known without asking. `key` is empty without one, `key_place` says where it is from.

    `entity` and `project` are empty where nothing names them.
    """

    base_url: str
    key: str = field(default="", repr=False)
    key_place: str = ""
    entity: str = ""
    project: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def server(self, *, patient: bool = True, attempts: int | None = None) -> Server:
        """The server, spoken to with the key (`attempts`, `patient`: wandb.server).

        Raises InputError for an address that is none.
        """
        # Imported where it is used: a run only needs to know whether there is a key.
        from launch_action.wandb.server import Server

        return Server(self.base_url, self.key, self.environment, patient=patient, attempts=attempts)

    def default_entity(self) -> str:
        """The entity that is named, else the key's own, without a key none. Raises ServiceError."""
        return self.entity or (self.own_entity() if self.key else "")

    def own_entity(self, *, patient: bool = True) -> str:
        """The entity that the server says is the key's own. Raises ServiceError."""
        server = self.server(patient=patient)
        try:
            viewer = server.ask("query Viewer { viewer { entity } }", {}).get("viewer")
        finally:
            server.close()
        return str(viewer.get("entity") or "") if isinstance(viewer, dict) else ""

    @property
    def host(self) -> str:
        """Host and port, as people are told of the server."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def app_url(self) -> str:
        """The address of the server's pages: `https://wandb.ai` of `https://api.wandb.ai`."""
        given = self.environment.get("WANDB_APP_URL", "").rstrip("/")
        if given:
            return given
        scheme, _, rest = self.base_url.rstrip("/").partition("://")
        if rest == "api.forge.coreweave.com":
            return _FORGE
        if rest.startswith("api.wandb."):
            return f"{scheme}://{rest.removeprefix('api.')}"
        if rest.startswith("api."):
            return f"{scheme}://app.{rest.removeprefix('api.')}"
        return f"{scheme}://{rest}"

    def run_url(self, entity: str, project: str, run_id: str) -> str:
        """The page of a run."""
        from urllib.parse import quote

        return f"{self.app_url}/{quote(entity)}/{quote(project)}/runs/{quote(run_id)}"


def find_account(
    environment: Mapping[str, str],
    directory: Path,
    *,
    key: str = "",
    entity: str = "",
    project: str = "",
) -> Account:
    """The account of this machine, in this directory; `key`, `entity`, `project` are options.

    Raises InputError for a settings file that cannot be read.
    """
    user, own = _settings(environment, directory)
    settings = user | own
    url = environment.get("WANDB_BASE_URL") or user.get("base_url") or DEFAULT_URL
    if "WANDB_BASE_URL" not in environment and not (key or environment.get("WANDB_API_KEY")):
        # A directory may be anybody's, and must not choose where a key goes that is of no host:
        # those of a netrc file are each of one.
        url = own.get("base_url") or url
    found, place = (key, "--wandb-api-key") if key else _key(environment, url)
    return Account(
        url.rstrip("/"),
        found,
        place,
        entity or environment.get("WANDB_ENTITY") or settings.get("entity", ""),
        project or environment.get("WANDB_PROJECT") or settings.get("project", ""),
        environment,
    )


def _key(environment: Mapping[str, str], url: str) -> tuple[str, str]:
    """The key, and where it is from."""
    if "WANDB_API_KEY" in environment:
        # Set and empty: the key is kept back.
        key = environment["WANDB_API_KEY"].strip()
        return key, "WANDB_API_KEY" if key else ""
    path = _netrc_path(environment)
    if path is None:
        return "", ""
    import netrc

    try:
        logins = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return "", ""
    host = urlsplit(url).netloc
    for name in (host, *sorted(_SAME - {host})) if host in _SAME else (host,):
        # `hosts` and not `authenticators`: the login by default is of no host of W&B's.
        if name in logins.hosts and logins.hosts[name][2]:
            return str(logins.hosts[name][2]), str(path)
    return "", ""


def _netrc_path(environment: Mapping[str, str]) -> Path | None:
    home = Path(environment.get("HOME") or "/")
    given = environment.get("NETRC")
    places = [Path(given).expanduser()] if given else [home / ".netrc", home / "_netrc"]
    return next((path for path in places if path.is_file()), None)


def _settings(
    environment: Mapping[str, str], directory: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """The settings of the user, and those of the directory."""
    home = Path(environment.get("HOME") or "/")
    configured = environment.get("WANDB_CONFIG_DIR")
    user = Path(configured).expanduser() if configured else home / ".config" / "wandb"
    root = Path(environment.get("WANDB_DIR") or directory)
    own = root / (".wandb" if (root / ".wandb").exists() else "wandb")
    return _read(user / "settings"), _read(own / "settings")


def _read(path: Path) -> dict[str, str]:
    # Imported where it is used: most machines have no such file.
    if not path.is_file():
        return {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise InputError(
            f"W&B's settings {str(path)!r} cannot be read: {str(error).splitlines()[0]}",
            hint="mend or remove the file; `wandb login` writes it anew",
        ) from error
    return dict(parser["default"]) if parser.has_section("default") else {}
