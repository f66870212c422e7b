"""The engine's BuildKit through its API, without buildx: `POST /build?version=2`.

Source: the Docker engine API 1.41, "Build an image". BuildKit has no session there: what needs one
(secrets, ssh, logins of base images) is refused before, or brought to the engine beforehand.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from launch_action.builders.buildkit.arguments import cache_argument
from launch_action.builders.buildkit.rungs import cache_reference
from launch_action.builders.buildkit.trace import Trace
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.errors import BuildError, RunError
from launch_action.engine import connected, engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

# Seconds for an engine to remove an image.
_PROMPT = 30
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmg]?)b?", re.IGNORECASE)


def engine_query(
    plan: DockerfilePlan, dockerfile: str, repository: str
) -> dict[str, str | list[str]]:
    """The query of the request, a pure function of the plan; `dockerfile` is a path in the tar."""
    options = plan.options
    found: dict[str, str | list[str]] = {
        "version": "2",
        "dockerfile": dockerfile,
        "platform": str(plan.platforms[0]),
        "buildargs": json.dumps(dict(options.build_args)),
        "labels": json.dumps(dict(options.labels)),
        "target": options.target,
        "extrahosts": [_colon(host) for host in options.add_hosts],
        "networkmode": options.network,
        "shmsize": str(_bytes(options.shm_size)) if options.shm_size else "",
        "ulimits": json.dumps([_ulimit(one) for one in options.ulimits]),
        "cachefrom": json.dumps(list(_caches(plan, repository))),
        "nocache": "1" if options.no_cache else "",
    }
    return {name: value for name, value in found.items() if value and value not in ("[]", "{}")}


def build_in_engine(
    engine: DockerClient,
    query: Mapping[str, str | list[str]],
    context: IO[bytes],
    say: Callable[[str], None],
    place: Callable[[str], str],
) -> str:
    """Send the tar and follow the build; the image's id.

    Raises BuildError, whose message begins with the `place` of a reason in the Dockerfile.
    """

    from docker.errors import DockerException
    from requests import RequestException

    image, last = "", ""
    try:
        with engine.api.post(
            f"{engine.api.base_url}/v{engine.api.api_version}/build",
            params=dict(query),
            data=context,
            headers={"Content-Type": "application/x-tar", "Content-Encoding": "gzip"},
            stream=True,
            timeout=None,
        ) as answer:
            if answer.status_code != 200:
                raise _failed(str(answer.json().get("message", answer.reason)), "", place)
            for message, lines in _messages(answer.iter_lines()):
                for line in lines:
                    last = f"{last}\n{line}"[-4000:]
                    say(line)
                if error := message.get("error"):
                    raise _failed(str(error), last, place)
                if message.get("id") == "moby.image.id":
                    image = str(message["aux"]["ID"])
    except (DockerException, RequestException, ValueError, OSError) as error:
        raise BuildError(
            f"the engine broke the build off: {str(error)[:300]}",
            hint="see that it runs, `docker version`, and run the same command again",
            context=last,
        ) from error
    if not image:
        raise _failed("the engine tells no image", last, place)
    return image


@contextmanager
def removed_after(image: str, say: Callable[[str], None]) -> Iterator[None]:
    """An image that is not kept in the engine; its steps stay in the build cache.

    An engine that is busy is not waited for long: an image without a name is what every build
    leaves that was interrupted, and `docker image prune` removes it.
    """
    try:
        yield
    finally:
        from docker.errors import APIError

        try:
            with (
                connected(_PROMPT) as engine,
                engine_errors("image not removed"),
                suppress(APIError),  # in use by another, or named: it is not ours alone
            ):
                engine.api.remove_image(image)
        except RunError as error:
            say(f"{error.message}; {image[:19]} stays in the engine")


def _messages(lines: Iterator[bytes]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Each JSON message of the stream, with the lines that it has for a person."""
    trace = Trace()
    for line in lines:
        if not line.strip():
            continue
        message: dict[str, Any] = json.loads(line)
        if message.get("id") == "moby.buildkit.trace":
            yield message, list(trace.lines(base64.b64decode(message.get("aux") or "")))
        else:
            text = str(message.get("stream") or message.get("status") or "")
            yield message, [one for one in text.splitlines() if one.strip()]


def _failed(reason: str, last: str, place: Callable[[str], str]) -> BuildError:
    first = (reason.splitlines() or ["no reason given"])[0]
    return BuildError(
        f"{place(reason)}: {first}",
        hint="see the step's output above; `docker build` fails the same way",
        context="\n".join(last.splitlines()[-20:]),
    )


def _caches(plan: DockerfilePlan, repository: str) -> Iterator[str]:
    for cache in plan.options.cache_from:
        filled = cache_argument(cache, repository=repository, actions=False, write=False)
        reference = cache_reference(filled)
        if reference:
            yield reference


def _colon(host: str) -> str:
    name, _, address = host.replace("=", ":", 1).partition(":")
    return f"{name}:{address}"


def _bytes(size: str) -> int:
    found = _SIZE.fullmatch(size.strip())
    return int(float(found[1]) * _UNITS[found[2].lower() or "b"]) if found else 0


def _ulimit(text: str) -> dict[str, object]:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
