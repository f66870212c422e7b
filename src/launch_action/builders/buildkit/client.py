"""The Docker client as we start it: an environment of our making, a log without secrets."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from launch_action import process
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import BuildError

# What the client, its plugins and credential helpers read. Nothing of it reaches a build step.
_VARIABLES = re.compile(
    r"(?:DOCKER|BUILDX|BUILDKIT)_\w+|SSH_AUTH_SOCK|KUBECONFIG"
    r"|(?:AWS|ECR|GOOGLE|CLOUDSDK|GCLOUD|AZURE|ACR|ARM|ACTIONS_ID_TOKEN)_\w+"
    r"|GNUPGHOME|PASSWORD_STORE_\w+|DBUS_SESSION_BUS_ADDRESS"
)
# GitHub's cache service, for `type=gha`.
CACHE_VARIABLES = (
    "ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL", "ACTIONS_CACHE_URL", "ACTIONS_CACHE_SERVICE_V2",
)  # fmt: skip
# Lines of the client's own file server, which is asked again.
_NOISE = re.compile(r"ERROR: \(\*service\)\.Write failed: .* unavailable")
_SHORTEST_SECRET = 3
_LAST_LINES = 20
_ANSWER = 60.0


@dataclass(frozen=True, slots=True)
class Redactor:
    """Blanks secrets, and every line of them, in what a build says."""

    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Redactor:
        texts = [value.decode("utf-8", "replace") for value in values]
        parts = {part.strip() for text in texts for part in (text, *text.splitlines())}
        kept = (part for part in parts if len(part) >= _SHORTEST_SECRET)
        return cls(tuple(sorted(kept, key=len, reverse=True)))

    def clean(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True, slots=True)
class Docker:
    """The Docker client with `environment`; `say` is told what it says, line by line."""

    environment: Mapping[str, str] = field(repr=False)
    say: Callable[[str], None]
    redactor: Redactor = Redactor()

    def ask(self, *arguments: str) -> process.Finished | None:
        """A short question; None where there is no client, or none that answers."""
        try:
            return process.run(["docker", *arguments], env=self.environment, timeout=_ANSWER)
        except (FileNotFoundError, process.TimedOut):
            return None

    def run(self, arguments: Sequence[str], **variables: str) -> tuple[int, str]:
        """Run to the end with a live log; the exit code and the last lines of what it said."""
        last: deque[str] = deque(maxlen=_LAST_LINES)

        def tell(line: str) -> None:
            if line and not _NOISE.match(line):
                clean = self.redactor.clean(line)
                last.append(clean)
                self.say(clean)

        code = process.follow(["docker", *arguments], tell, env={**self.environment, **variables})
        return code, "\n".join(last)

    def stream(self, *arguments: str) -> Iterator[bytes]:
        """What it writes to its standard output. Raises BuildError when it fails."""
        try:
            yield from process.stream(["docker", *arguments], env=self.environment)
        except EOFError as error:
            raise BuildError(
                f"docker {' '.join(arguments[:2])} failed",
                hint="see that the engine answers: `docker version`",
                context=str(error),
            ) from error


def docker_environment(environment: Mapping[str, str], *also: str) -> dict[str, str]:
    """What the client sees of an environment: the variables that are its own, and those named."""
    allowed = {*process.ALLOWED, *also}
    kept = {n: v for n, v in environment.items() if n in allowed or _VARIABLES.fullmatch(n)}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        # No hints at other products and no update check in the log.
        "DOCKER_CLI_HINTS": "false",
        "BUILDX_METADATA_WARNINGS": "true",
    }
