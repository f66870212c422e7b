"""The one table of inputs: from it come the argument parser, the reading of `LAUNCH_INPUTS` and
`INPUT_*`, the check of action.yml, and docs/inputs.md.
"""

from __future__ import annotations

from typing import Literal

from launch_action.core.dataclass import dataclass

Kind = Literal["text", "boolean", "tristate", "list", "lines", "words", "choice", "duration"]
Command = Literal["launch", "build", "run", "job", "cleanup", "action"]
Value = str | bool | tuple[str, ...] | float | None

_BUILD: tuple[Command, ...] = ("launch", "build", "action")
_RUN: tuple[Command, ...] = ("launch", "run", "action")
_ALL: tuple[Command, ...] = ("launch", "build", "run", "action")
_CONTENT: tuple[Command, ...] = ("launch", "build", "run", "job", "cleanup", "action")


@dataclass(frozen=True, slots=True)
class Input:
    """One input.

    `name` is its kebab-case name in action.yml; the option is `--name`, and `flags` are its other
    spellings. A "list" splits at commas and line ends (options repeat), "lines" at line ends only,
    "words" as a shell does. An empty value means the default. `bare` is what the option alone means.
    """

    name: str
    help: str
    kind: Kind = "text"
    flags: tuple[str, ...] = ()
    default: str = ""
    choices: tuple[str, ...] = ()
    commands: tuple[Command, ...] = _BUILD
    metavar: str = ""
    secret: bool = False
    bare: str = ""

    @property
    def field(self) -> str:
        """The attribute of `Inputs`."""
        return self.name.replace("-", "_")


INPUTS: tuple[Input, ...] = (
    Input("mode", "What to do; `auto` decides from the event: a pull request is a preview, a tag a release.",
          "choice", default="auto", commands=("action",),
          choices=("auto", "preview", "release", "update", "launch", "build", "cleanup", "discover")),
    Input("job", "On the command line the existing job version to run, and build nothing; in the action "
          "the jobs of launch.yaml to take, by their keys; default all of them.",
          flags=("-j",), commands=("launch", "action"), metavar="JOB"),
    Input("only", "Jobs of launch.yaml to take, by their keys; default all of them.", "list",
          commands=("launch", "build"), metavar="KEY"),
    Input("parallel", "How many jobs of launch.yaml are built at once; default the number of CPUs, 4 at most.",
          metavar="NUMBER"),
    Input("uri", "Where the source is: address of a git repository (https, ssh, or host:path), or a "
          "directory, which is recorded as it is; default the checkout.", flags=("-u",), metavar="URI"),
    Input("docker-image", "Image that is the job as it is: it is recorded by its digest, and nothing is built.",
          flags=("-d",), metavar="IMAGE"),
    Input("git-hash", "Branch, tag or commit of the source; default the remote's HEAD, or the checkout's.",
          flags=("-g", "--git-version"), metavar="REF"),
    Input("pr-commit", "Commit of a pull request: `head`, which a person pushed, or GitHub's `merge`.",
          "choice", default="head", choices=("head", "merge"), commands=("action",)),
    Input("git-username", "User name at the source's git server; default any, with a token.", metavar="NAME"),
    Input("git-token", "Password or token at the source's git server; default $GIT_TOKEN, "
          "else git's own credential helpers.", secret=True, metavar="TOKEN"),
    Input("ssh-key", "Private key for the source's git server: its file, or its text; "
          "default the ssh agent.", secret=True, metavar="FILE"),
    Input("ssh-known-hosts", "File with the host keys that ssh trusts; default the user's own.",
          metavar="FILE"),
    Input("allow-file", "File of a directory that is recorded although it looks like a credential.", "list",
          metavar="PATH"),
    Input("check-remote", "Refuse a commit that its remote lacks; `auto` only warns when the remote "
          "cannot be asked.", "tristate", default="auto"),
    Input("entry-point", "Command that starts the job, such as `python train.py`.",
          flags=("-E",), commands=_ALL, metavar="COMMAND"),
    Input("job-name", "Name of the job; default `job-<remote>-<script>`.", flags=("-J",), metavar="NAME"),
    Input("job-name-style", "`wandb` spells the name as W&B's own automatic jobs do.", "choice",
          default="launch", choices=("launch", "wandb")),
    Input("alias", "More aliases of the job version, besides `sha-<commit>`, branch and `latest`.",
          "list", flags=("-a",), metavar="ALIAS"),
    Input("image", "Repository to push to, which is also the job's store, such as `ghcr.io/acme/train`.",
          commands=("launch", "build", "job", "cleanup", "action"), metavar="REPOSITORY"),
    Input("store", "Directory of the local store, when no image repository is given.",
          commands=_CONTENT, metavar="DIR"),
    Input("push", "Push to the image repository: `true`, `false`, or `auto` (when `image` is given).",
          "tristate", default="auto"),
    Input("run", "Run the job version after it was built: `true`, `false`, or `auto` (in launch mode, and for "
          "previews and updates with a queue).", "tristate", default="auto", commands=("action",)),
    Input("build-context", "Directory of the repository that the image is built from; default its root.",
          flags=("-b",), metavar="DIR"),
    Input("base-image", "Image to build on: a reference, `oci:DIR`, or `deb:SUITE`; "
          "default `docker.io/library/python:X.Y-slim`.", flags=("-B",), metavar="IMAGE"),
    Input("python", "Python version `X.Y`; default what the project says, else 3.12.",
          flags=("--runtime",), metavar="VERSION"),
    Input("requirements", "File that declares the dependencies, in the build context; default the first of "
          "`requirements.txt`, `pylock.toml`, `pyproject.toml` with its `uv.lock` or `poetry.lock`.",
          metavar="FILE"),
    Input("extras", "Extras of the project's own `pyproject.toml` to install.", "list",
          flags=("--extra",), metavar="EXTRA"),
    Input("groups", "Dependency groups of the project's own `pyproject.toml` to install.", "list",
          flags=("--group",), metavar="GROUP"),
    Input("install-project", "Install the project itself, built as a wheel from the commit's files.",
          "boolean", default="false"),
    Input("builder", "`layers` builds without a daemon, `buildkit` a Dockerfile; `auto` chooses.", "choice",
          default="auto", choices=("auto", "layers", "buildkit")),
    Input("dockerfile", "Dockerfile to build, relative to the build context; default `Dockerfile.wandb` "
          "beside the script, if there is one.", flags=("-D",), metavar="FILE"),
    Input("build-arg", "Build arguments of the Dockerfile, one `NAME=VALUE` or `NAME` (taken from the "
          "environment) per line.", "lines", metavar="NAME[=VALUE]"),
    Input("secret", "Secrets of the Dockerfile build, one `id=NAME,src=FILE`, `id=NAME,env=VARIABLE` or "
          "`NAME=VALUE` per line.", "lines", metavar="SECRET", secret=True),
    Input("ssh", "SSH agent sockets or keys of the Dockerfile build: `default` or `ID=PATH`, one per line.",
          "lines", metavar="ID[=PATH]"),
    Input("target", "Stage of the Dockerfile to build; default its last.", metavar="STAGE"),
    Input("label", "Labels of a Dockerfile's image, one `NAME=VALUE` per line.", "lines", metavar="NAME=VALUE"),
    Input("annotation", "Annotations of a Dockerfile's image, one `NAME=VALUE` per line.", "lines",
          metavar="NAME=VALUE"),
    Input("add-host", "Host names known to a Dockerfile build, such as `host:192.0.2.7`.", "list",
          metavar="HOST:IP"),
    Input("network", "Network of the `RUN` steps of a Dockerfile: `default`, `none` or `host`.", "choice",
          choices=("default", "none", "host")),
    Input("shm-size", "Size of /dev/shm in the `RUN` steps of a Dockerfile, such as `2g`.", metavar="SIZE"),
    Input("ulimit", "Limits of the `RUN` steps of a Dockerfile, such as `nofile=1024:4096`.", "list",
          metavar="NAME=SOFT[:HARD]"),
    Input("no-cache", "Run every step of the Dockerfile again, and build what was built before.", "boolean",
          default="false"),
    Input("pull", "Ask the registry for the Dockerfile's base images even where the engine has them.",
          "boolean", default="false"),
    Input("cache-from", "Build caches to read, one per line: `registry`, `gha`, or as docker buildx has it.",
          "lines", metavar="CACHE"),
    Input("cache-to", "Build caches to write, one per line: `registry`, `gha`, or as docker buildx has it.",
          "lines", metavar="CACHE"),
    Input("check", "Report what BuildKit's checks say of the Dockerfile, at its lines.", "boolean",
          default="false"),
    Input("compile", "Put the packages' bytecode in layers of its own: `true`, `false`, or `auto` (when this "
          "machine has the Python for it).", "tristate", default="auto"),
    Input("compression", "Compression of the layers: `gzip`, `gzip:1` to `gzip:12`, `zstd`, `zstd:1` to `zstd:19` "
          "(zstd needs Docker 23, containerd 1.5 or later where the image is pulled).",
          default="gzip", metavar="KIND[:LEVEL]"),
    Input("platform", "Platforms of the image, such as `linux/amd64,linux/arm64`; default the machine's.",
          "list", metavar="PLATFORM"),
    Input("resolve-date", "Day that unpinned requirements are resolved as of: `YYYY-MM-DD` or `latest`; "
          "default the commit's.", metavar="DATE"),
    Input("build-options", "More options, one `NAME=VALUE` per line: every option that is not an input itself.",
          "lines", commands=("action",), metavar="NAME=VALUE"),
    Input("sbom", "Record a bill of materials (SPDX) of the image; default for an event about a tag.",
          "tristate", default="auto"),
    Input("provenance", "Record how the image was built (SLSA); default for an event about a tag.",
          "tristate", default="auto"),
    Input("schema", "JSON Schema of the job's inputs, a `.json`, `.yaml` or `.yml` file of the build context; "
          "an absolute path, and one of a job without files, is of this machine.", metavar="FILE"),
    Input("set", "Job inputs, one `KEY=VALUE` per line; `a.b=1` nests, values are YAML scalars.",
          "lines", commands=_RUN, metavar="KEY=VALUE"),
    Input("config", "W&B launch config: JSON text, or a `.json`, `.yaml` or `.yml` file.",
          flags=("-c",), commands=_RUN, metavar="FILE"),
    Input("env", "Environment of the job, one `NAME=VALUE` or `NAME` (taken from the environment) per line.",
          "lines", commands=_RUN, metavar="NAME[=VALUE]"),
    Input("timeout", "Time the run may take, such as `90s`, `30m` or `2h`.", "duration",
          commands=_RUN, metavar="DURATION"),
    Input("resource", "Where the job runs: `local-process` or `local-container`; through a queue also "
          "`kubernetes`, `sagemaker` or `gcp-vertex`; default a container when an engine answers, or what the "
          "queue says.", "choice", flags=("-r",),
          choices=("local-process", "local-container", "kubernetes", "sagemaker", "gcp-vertex"), commands=_RUN),
    Input("resource-args", "Limits of the job's container by resource, such as "
          '`{"local-container": {"cpus": 2, "memory": "4g"}}`, or what a queue is told of its resource: '
          "JSON text or a file.",
          flags=("-R",), commands=_RUN, metavar="FILE"),
    Input("args", "Arguments that follow the entry point; on the command line also those after `--`.",
          "words", commands=_RUN, metavar="WORDS"),
    Input("output", "Directory below which a run's output goes, in one of the run's id; default `launch-output`.",
          commands=_RUN, metavar="DIR"),
    Input("detach", "Start the job's container, or send the job to its queue, print the run's id, and do not wait "
          "for it.", "boolean",
          flags=("--async",), default="false", commands=_RUN),
    Input("set-var", "Values of a queue's template variables; only with a queue.", "lines",
          flags=("-v",), commands=("launch", "run"), metavar="KEY=VALUE"),
    Input("service", "Further services that an agent on Kubernetes starts beside the job, `NAME=always` or "
          "`NAME=never`, one per line.", "lines", flags=("-s",), metavar="NAME=POLICY"),
    Input("fail-if", "Conditions on the metrics of the run that make it a failure, such as `accuracy < 0.9`, "
          "one per line.", "lines", commands=_RUN, metavar="CONDITION"),
    Input("queue", "W&B Launch queue that the job is sent to instead of being run here; alone: `default`.",
          flags=("-q",), bare="default", commands=_RUN, metavar="NAME"),
    Input("priority", "Priority in the queue.", "choice", flags=("-P",),
          choices=("critical", "high", "medium", "low"), commands=_RUN),
    Input("on-cancel", "What becomes of a queued run when this program is interrupted.", "choice",
          default="stop", choices=("stop", "keep"), commands=_RUN),
    Input("force", "Send the job to the queue again, although this commit's was sent before.", "boolean",
          default="false", commands=_RUN),
    Input("wandb-register", "What of the job W&B gets, where there is a key and a project: `blueprint`, `image`, "
          "`both` or `off`; default the blueprint, and both with a queue.", "choice",
          choices=("blueprint", "image", "both", "off"), commands=("launch", "build", "job", "cleanup", "action")),
    Input("description", "What the job is for, as W&B shows it.", commands=("launch", "build", "job", "action"),
          metavar="TEXT"),
    Input("wandb-api-key", "Key for W&B; default $WANDB_API_KEY, else this machine's `wandb login`.",
          commands=_CONTENT, secret=True, metavar="KEY"),
    Input("older-than", "Age of what a cleanup takes away, such as `12h`, `7d` or `2w`; default `7d`.",
          commands=("cleanup", "action"), metavar="AGE"),
    Input("keep", "Number of the newest versions that a cleanup leaves of those that may go; default 10.",
          commands=("cleanup", "action"), metavar="N"),
    Input("name", "Name of the run.", commands=_RUN, metavar="NAME"),
    Input("project", "W&B project of the run, and of jobs there.", flags=("-p",), commands=_CONTENT, metavar="NAME"),
    Input("entity", "W&B entity of the run, and of jobs there.", flags=("-e",), commands=_CONTENT, metavar="NAME"),
    Input("registry-username", "User name at the image's registry; default the Docker login.",
          commands=_CONTENT, metavar="NAME"),
    Input("registry-password", "Password or token at the image's registry; default the Docker login.",
          commands=_CONTENT, secret=True, metavar="PASSWORD"),
    Input("registry-mirror", "Mirrors that base images are read from first: `HOST=URL`, or `URL` for Docker Hub's.",
          "list", commands=_CONTENT, metavar="[HOST=]URL"),
    Input("registry-ca", "File with the certificates of a private registry's authority.",
          commands=_CONTENT, metavar="FILE"),
    Input("insecure-registry", "Registries spoken to over plain http (loopback always is).", "list",
          commands=_CONTENT, metavar="HOST"),
    Input("require-clean", "Refuse a checkout with changed tracked files instead of warning.", "boolean",
          default="false"),
    Input("allow-rename", "Let versions of another job name into a repository that holds one.", "boolean",
          default="false", commands=("launch", "build", "job", "action")),
    Input("working-directory", "Directory of the checkout; default the current one.",
          flags=("-C",), metavar="DIR"),
    Input("github-token", "Token for GitHub's API, read only here.", commands=("action",), secret=True),
    Input("comment", "Report a preview in a comment of its pull request.", "boolean", default="true",
          commands=("action",)),
    Input("deployment", "Report a preview as a GitHub deployment.", "boolean", default="false",
          commands=("action",)),
    Input("environment", "Name of the deployment's environment.", default="preview", commands=("action",)),
    Input("allow-untrusted", "Take the code of a fork in an event that has this repository's rights.",
          "boolean", default="false", commands=("action",)),
    Input("verbose", "Say more in the log.", "boolean", default="false", commands=_CONTENT),
)  # fmt: skip

# Inputs that action.yml, which holds at most 30, takes in `build-options` alone.
NOT_IN_ACTION = frozenset({
    "store", "git-token", "ssh-key", "builder", "python", "base-image", "resource", "verbose", "comment", "priority",
    "on-cancel", "force", "parallel", "older-than", "keep",
    "uri", "docker-image", "git-hash", "pr-commit", "git-username", "ssh-known-hosts", "allow-file", "check-remote",
    "job-name-style", "requirements", "extras", "groups", "install-project", "compile",
    "compression", "resolve-date", "name", "registry-mirror", "registry-ca", "insecure-registry",
    "require-clean", "allow-rename", "config", "sbom", "provenance", "resource-args", "args",
    "output", "detach", "schema", "ssh", "target", "label", "annotation", "add-host", "network", "shm-size", "ulimit",
    "no-cache", "pull", "cache-from", "cache-to", "check", "description",
    "service",
})  # fmt: skip

# Options that a job in launch.yaml may have. What stands there is of the commit: it says what the
# job is and what it may use, never where things go, with which login, or what is trusted.
IN_LAUNCH_FILE = frozenset({
    "entry-point", "job-name", "job-name-style", "alias", "build-context", "base-image", "python",
    "requirements", "extras", "groups", "install-project", "builder", "dockerfile", "build-arg",
    "target", "label", "annotation", "shm-size", "ulimit", "compile", "compression", "platform",
    "resolve-date", "sbom", "provenance", "schema", "set", "env", "timeout", "resource-args", "args",
    "fail-if", "set-var", "service", "queue", "priority", "project", "entity",
})  # fmt: skip

BY_NAME = {one.name: one for one in INPUTS}
