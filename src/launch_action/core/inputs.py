"""The inputs of one invocation as they were read: a field per row of the table of inputs."""

from __future__ import annotations

from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass
from launch_action.core.input_table import INPUTS, Input, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs, read and checked; one attribute per row of INPUTS. `timeout` is in seconds."""

    mode: str = "auto"
    job: str = ""
    only: tuple[str, ...] = ()
    parallel: str = ""
    uri: str = ""
    docker_image: str = ""
    git_hash: str = ""
    pr_commit: str = "head"
    git_username: str = ""
    git_token: str = ""
    ssh_key: str = ""
    ssh_known_hosts: str = ""
    allow_file: tuple[str, ...] = ()
    check_remote: bool | None = None
    entry_point: str = ""
    job_name: str = ""
    job_name_style: str = "launch"
    alias: tuple[str, ...] = ()
    image: str = ""
    store: str = ""
    push: bool | None = None
    run: bool | None = None
    build_context: str = ""
    base_image: str = ""
    python: str = ""
    requirements: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    install_project: bool = False
    builder: str = "auto"
    dockerfile: str = ""
    build_arg: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    target: str = ""
    label: tuple[str, ...] = ()
    annotation: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    network: str = ""
    shm_size: str = ""
    ulimit: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    check: bool = False
    compile: bool | None = None
    compression: str = "gzip"
    platform: tuple[str, ...] = ()
    resolve_date: str = ""
    build_options: tuple[str, ...] = ()
    sbom: bool | None = None
    provenance: bool | None = None
    schema: str = ""
    set: tuple[str, ...] = ()
    config: str = ""
    env: tuple[str, ...] = ()
    timeout: float | None = None
    resource: str = ""
    resource_args: str = ""
    args: tuple[str, ...] = ()
    output: str = ""
    detach: bool = False
    set_var: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    fail_if: tuple[str, ...] = ()
    queue: str = ""
    priority: str = ""
    on_cancel: str = "stop"
    force: bool = False
    wandb_register: str = ""
    description: str = ""
    wandb_api_key: str = ""
    older_than: str = ""
    keep: str = ""
    name: str = ""
    project: str = ""
    entity: str = ""
    registry_username: str = ""
    registry_password: str = ""
    registry_mirror: tuple[str, ...] = ()
    registry_ca: str = ""
    insecure_registry: tuple[str, ...] = ()
    require_clean: bool = False
    allow_rename: bool = False
    working_directory: str = ""
    github_token: str = ""
    comment: bool = True
    deployment: bool = False
    environment: str = "preview"
    allow_untrusted: bool = False
    verbose: bool = False

    def __repr__(self) -> str:
        """The non-default inputs, secrets hidden: this text may reach a log."""
        return f"Inputs({', '.join(f'{name}={value}' for name, value in self.shown())})"

    def shown(self) -> tuple[tuple[str, str], ...]:
        """Name and text of every input that is not at its default; secrets as `***`.

        The values of `env` are such, and logins in URLs.
        """
        default = Inputs()
        found = ((row, getattr(self, row.field)) for row in INPUTS)
        return tuple(
            (row.name, _shown(row, value))
            for row, value in found
            if value != getattr(default, row.field)
        )


def duration_text(seconds: float) -> str:
    """A duration as the inputs take it.

    >>> duration_text(5400.0), duration_text(0.5)
    ('1h30m', '0.5s')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def _shown(known: Input, value: Value) -> str:
    if known.secret:
        return "***"
    if known.name == "env" and isinstance(value, tuple):
        pairs = (line.partition("=") for line in value)
        return ", ".join(f"{name}=***" if equals else name for name, equals, _ in pairs)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return duration_text(value)
    return without_credentials(", ".join(value) if isinstance(value, tuple) else str(value))
