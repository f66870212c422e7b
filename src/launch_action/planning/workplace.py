"""Puts the adapters together from the inputs: registries, store, builder, runner."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action import __version__
from launch_action.cache import Cache, cache_limit, cache_root, user_directory
from launch_action.core.concurrency import BackgroundCall
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import SourceError
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.launch import Announce
from launch_action.core.plan import StorePlan
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Digest, Repository, Tag
from launch_action.core.situation import Situation
from launch_action.core.version import JobFiles, JobVersion

if TYPE_CHECKING:
    from launch_action.core.checkout import Checkout
    from launch_action.core.claims import Held
    from launch_action.github.package_deletion import PackageDeletion
    from launch_action.oci.docker_config import DockerCredentials
    from launch_action.oci.registries import Registries
    from launch_action.wandb.account import Account

# Every one slow to import. Nothing may be in it that imports in a circle with the main thread.
_SPEAKS_TO_REGISTRIES = (
    "launch_action.oci.registries",
    "launch_action.oci.direct",
    "launch_action.oci.docker_config",
    "launch_action.builders.layers.base_facts",
)
_LOCAL_BASES = ("deb:", "oci:")
# Read once at start and then taken out, so that nothing we start can see them.
_CREDENTIAL_VARIABLES = (
    "LAUNCH_ACTION_REGISTRY_PASSWORD", "LAUNCH_ACTION_SSH_KEY", "GIT_TOKEN", "LAUNCH_INPUTS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job version in its store. `registry` tells whether an engine can pull it from there.

    `wandb_job` names it at W&B, `entity/project/name:v3`, where it is known there, and
    `wandb_image` the job of its image alone. `aliases` are those that it was given now, `held` what
    it gets when its run has gone well.
    """

    content: Content
    version: JobVersion
    registry: bool
    wandb_job: str = ""
    wandb_image: str = ""
    aliases: tuple[Tag, ...] = ()
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """How a run is told of: `log` gets the job's output, `announce` what becomes known."""

    announce: Announce
    log: Callable[[bytes], None]
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workplace:
    """What one run of this program works with.

    `environment` is as it was at the start, `started` in seconds since 1970. `untrusted` marks an
    event that an outsider can cause: nothing of a package is run for it. `login_host` is the
    registry that the registry password is for where no image is named. `artifact` is the name under
    which the directory of `--uri` was recorded before, `recorded` are the files of a recorded job
    that is built. `checkout` is the source where it was looked at already, for several jobs of it.
    """

    inputs: Inputs
    environment: Mapping[str, str] = field(repr=False)
    reporter: Reporter
    started: int
    untrusted: bool = False
    login_host: str = ""
    artifact: str = ""
    recorded: JobFiles | None = None
    checkout: Checkout | None = None

    @cached_property
    def directory(self) -> Path:
        """Where the checkout is looked for. Raises SourceError when it is no directory."""
        found = Path(self.inputs.working_directory or ".")
        if not found.is_dir():
            raise SourceError(
                f"no such directory: {str(found)!r}", hint="check --working-directory"
            )
        return found.resolve()

    @cached_property
    def cache(self) -> Cache:
        return Cache(cache_root(self.environment), cache_limit(self.environment))

    @cached_property
    def credentials(self) -> DockerCredentials:
        """The logins of registries: the given one, and those of Docker's configuration."""
        from launch_action.oci.docker_config import Credential, DockerCredentials

        given = {host: Credential(*login) for host, login in self.logins.items()}
        return DockerCredentials(self.environment, given)

    @cached_property
    def registries(self) -> Registries:
        """The registries; imported where used, for a local store needs none."""
        from launch_action.oci.registries import Registries

        inputs = self.inputs
        return Registries(
            self.credentials,
            ca_file=inputs.registry_ca,
            insecure=inputs.insecure_registry,
            mirrors=inputs.registry_mirror,
            environment=self.environment,
            note=self.reporter.info,
            elsewhere=_AtGitHub(self),
        )

    @cached_property
    def package_deletion(self) -> PackageDeletion:
        """What GitHub's API does to the packages of its registry; imported where used."""
        from launch_action.github.package_deletion import github_deletion

        def password(registry: str) -> str:
            found = self.credentials.find(registry)
            return found.password if found else ""

        token = self.inputs.github_token
        return github_deletion(self.environment, self.reporter, token, password)

    @cached_property
    def wandb(self) -> Account:
        """Server, key, entity and project at W&B; an event that outsiders can cause has no key."""
        from launch_action.wandb.account import find_account

        inputs = self.inputs
        found = find_account(
            self.environment,
            self.directory,
            key=inputs.wandb_api_key,
            entity=inputs.entity,
            project=inputs.project,
        )
        return replace(found, key="", key_place="") if self.untrusted else found

    def waiting_for_wandb(self) -> AbstractContextManager[None]:
        """What says of a block that W&B is waited for, where that takes long."""
        from launch_action.report import waiting

        return waiting(self.reporter, f"W&B at {self.wandb.host}")

    @property
    def logins(self) -> Mapping[str, tuple[str, str]]:
        """The login that this run was given: user and password, by its registry."""
        inputs = self.inputs
        image = inputs.image.lower()
        host = Repository.parse(image).registry if image else self.login_host
        if not inputs.registry_password or not host:
            return {}
        return {host: (inputs.registry_username, inputs.registry_password)}

    def import_ahead(self) -> None:
        """Where a registry will be spoken to: import what that takes while git is waited for."""
        inputs = self.inputs
        if inputs.image or not inputs.base_image.startswith(_LOCAL_BASES):
            BackgroundCall(lambda: _import(_SPEAKS_TO_REGISTRIES))

    @property
    def store_directory(self) -> Path:
        """`--store`, else `$LAUNCH_ACTION_STORE`, else launch-action/store in the data home."""
        if self.inputs.store:
            return Path(self.inputs.store).absolute()
        data = user_directory(self.environment, "XDG_DATA_HOME", ".local/share")
        return data / "launch-action" / "store"

    def content(self, store: StorePlan) -> Content:
        """The repository of a plan's store."""
        if store.repository is not None:
            return self.registries.open(store.repository, writable=True)
        from launch_action.oci.layout import LayoutContent

        return LayoutContent(Path(store.directory), store.name)


class _AtGitHub:
    """GitHub's API for its registry, made when it is needed."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def __call__(self, repository: Repository, digest: Digest, exists: Callable[[], bool]) -> bool:
        return self._place.package_deletion(repository, digest, exists)

    def untagged(self, repository: Repository) -> Mapping[Digest, int]:
        return self._place.package_deletion.untagged(repository)


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        with suppress(ImportError):  # who uses it says what is wrong
            import_module(name)


def take_environment() -> dict[str, str]:
    """The environment as it is, after which what holds credentials of ours is gone from it."""
    found = dict(os.environ)
    for name in list(os.environ):
        if name in _CREDENTIAL_VARIABLES or name.startswith("INPUT_"):
            del os.environ[name]
    return found


def names_no_job(inputs: Inputs) -> bool:
    """Whether it is left to a launch file at the commit which jobs are meant."""
    if inputs.only:
        return True
    named = inputs.entry_point or inputs.docker_image
    return not (named or (inputs.uri and not names_commit(inputs.uri)))


def names_commit(uri: str) -> bool:
    """Whether a source is a commit of a git repository, and no directory."""
    # Imported where it is used: most sources are the checkout.
    from launch_action.core.git_address import is_git_address

    return is_git_address(uri)


def in_actions(environment: Mapping[str, str]) -> bool:
    """Whether this process is part of a step of a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def is_untrusted(environment: Mapping[str, str]) -> bool:
    """Whether an outsider can have caused this run, which in GitHub Actions the event tells."""
    if not in_actions(environment):
        return False
    from launch_action.github.environment import load_context

    return load_context(environment).is_untrusted


def situation(place: Workplace, builder_format: str) -> Situation:
    """What the plan must know of this machine, on a command line outside CI."""
    return Situation(
        platform=Platform.parse(f"linux/{os.uname().machine}"),
        now=place.started,
        store_directory=str(place.store_directory),
        builder_format=builder_format,
        ci=place.environment.get("CI", "") not in ("", "false", "0"),
        trusted=not place.untrusted,
        tool=f"launch-action-{__version__}",
        builder=f"https://launch-action.dev/launch-action@{__version__}",
    )


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())
