"""Logins of package indexes, from the places that uv reads them from: URLs, variables, netrc.

https://docs.astral.sh/uv/concepts/authentication/. Nothing of it is ever written anywhere.
"""

from __future__ import annotations

import base64
import netrc
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, field
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.toml_file import read_toml, tables

# What uv may see of our environment besides the allow-list: its index settings and TLS. Variables
# that would change what is resolved (UV_EXCLUDE_NEWER, UV_RESOLUTION, ...) are left out on purpose.
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_OTHER_VARIABLES = (
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_CONNECT_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_CREDENTIALS_DIR",
    "UV_INDEX_STRATEGY",
    "NETRC",
    "SSL_CLIENT_CERT",
)
_LOGIN_VARIABLE = re.compile(r"UV_INDEX_([A-Z0-9_]+)_(USERNAME|PASSWORD)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Index:
    """An index by its URL, with the login in it if there is one; `name` may be empty."""

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Logins:
    """User and password by the beginning of a URL, the most specific first."""

    known: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    netrc_file: Path | None = None

    def header(self, url: str) -> str | None:
        """The Authorization header for a URL, None where no login is known."""
        wanted = urlsplit(url)
        own = _userinfo(wanted)
        found = own or self._by_index(wanted) or self._by_netrc(wanted)
        return _basic(*found) if found else None

    def _by_index(self, wanted: SplitResult) -> tuple[str, str] | None:
        same = [one for one in self.known if _realm(urlsplit(one[0])) == _realm(wanted)]
        # Files lie beside the index as often as below it: the realm decides, the path prefers.
        same.sort(key=lambda one: _common(urlsplit(one[0]).path, wanted.path), reverse=True)
        return same[0][1:] if same else None

    def _by_netrc(self, wanted: SplitResult) -> tuple[str, str] | None:
        if self.netrc_file is None or not wanted.hostname:
            return None
        try:
            found = netrc.netrc(self.netrc_file).authenticators(wanted.hostname)
        except (OSError, ValueError, netrc.NetrcParseError):
            return None
        return (found[0], found[2] or "") if found else None


def uv_variables(inputs: DependencyInputs, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the variables that uv is given for these inputs."""
    logins = (name for name in environment if _LOGIN_VARIABLE.fullmatch(name))
    return (*INDEX_VARIABLES, *_OTHER_VARIABLES, *logins, *inputs.variables)


def environment_indexes(environment: Mapping[str, str]) -> tuple[Index, ...]:
    """The indexes that the environment names, in uv's order."""
    found = []
    for variable in INDEX_VARIABLES:
        for word in environment.get(variable, "").split():
            name, equals, url = word.partition("=")
            named = equals and re.fullmatch(r"[\w.-]+", name)
            found.append(Index(name, url) if named else Index("", word))
    return tuple(found)


def index_identities(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What of the environment decides a resolution, without credentials, for the fingerprint."""
    strategy = environment.get("UV_INDEX_STRATEGY", "")
    urls = tuple(without_credentials(one.url) for one in environment_indexes(environment))
    return urls + ((f"strategy:{strategy}",) if strategy and urls else ())


def read_logins(inputs: DependencyInputs, environment: Mapping[str, str]) -> Logins:
    """Every login that is known for the indexes and files of these inputs."""
    indexes = [*environment_indexes(environment), *_declared(inputs, environment)]
    environment = {**environment, **poetry_logins(inputs, environment)}
    known = []
    for index in indexes:
        parts = _address(index.url)
        given = _userinfo(parts) or ("", "")
        key = _variable_part(index.name)
        user = environment.get(f"UV_INDEX_{key}_USERNAME") if key else None
        password = environment.get(f"UV_INDEX_{key}_PASSWORD") if key else None
        if user or password or any(given):
            login = (user or given[0], password or given[1])
            known.append((without_credentials(index.url), *login))
    return Logins(tuple(known), _netrc_file(environment))


def poetry_logins(inputs: DependencyInputs, environment: Mapping[str, str]) -> dict[str, str]:
    """Poetry's variables for the logins of its sources, as uv's, for the indexes of these inputs.

    https://python-poetry.org/docs/repositories/#configuring-credentials
    """
    found = {}
    for name in {one.index for one in inputs.options if one.index}:
        key = _variable_part(name)
        for part in ("USERNAME", "PASSWORD"):
            value = environment.get(f"POETRY_HTTP_BASIC_{key}_{part}")
            if value:
                found[f"UV_INDEX_{key}_{part}"] = value
    return found


def _variable_part(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def secrets(inputs: DependencyInputs, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must never be shown, for masking what uv says."""
    values = {environment.get(name, "") for name in inputs.variables}
    for name, value in environment.items():
        login = _LOGIN_VARIABLE.fullmatch(name)
        if login and login[2] == "PASSWORD":
            values.add(value)
    values |= {login[2] for login in read_logins(inputs, environment).known}
    return tuple(sorted(value for value in values if len(value) > 2))


def _declared(inputs: DependencyInputs, environment: Mapping[str, str]) -> list[Index]:
    """The indexes and direct URLs of the files, with `${VARIABLES}` filled in."""

    def fill(text: str) -> str:
        return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), text)

    named = ("index-url", "extra-index-url", "find-links")
    found = [Index(one.index, fill(one.value)) for one in inputs.options if one.name in named]
    found += [Index("", fill(one.url)) for one in inputs.requirements if one.url]
    content = dict(inputs.files).get("pyproject.toml")
    return [one for one in found if "://" in one.url] + (_tool_indexes(content) if content else [])


def _address(url: str) -> SplitResult:
    """The parts of an index's URL. Raises BuildError for what is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  read for its ValueError
    except ValueError:
        raise BuildError(
            f"not the URL of an index: {without_credentials(url)!r}",
            hint="correct it where it is written: in the requirements, pyproject.toml, or one of "
            f"{', '.join(INDEX_VARIABLES)}",
        ) from None
    return parts


def _tool_indexes(content: bytes) -> list[Index]:
    entries = tables(read_toml(content, "pyproject.toml"), "tool", "uv", "index")
    return [Index(str(one.get("name", "")), str(one.get("url", ""))) for one in entries]


def _userinfo(parts: SplitResult) -> tuple[str, str] | None:
    if not parts.username and not parts.password:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def _realm(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _common(first: str, second: str) -> int:
    pairs = zip(first.strip("/").split("/"), second.strip("/").split("/"), strict=False)
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _netrc_file(environment: Mapping[str, str]) -> Path | None:
    chosen = environment.get("NETRC") or str(Path(environment.get("HOME", "/"), ".netrc"))
    path = Path(chosen)
    return path if path.is_file() else None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
