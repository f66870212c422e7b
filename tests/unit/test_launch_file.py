"""launch.yaml: what is read, what is refused and at which line, and the schema of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME, IN_LAUNCH_FILE
from launch_action.core.launch_document import SIZE_LIMIT
from launch_action.core.launch_file import (
    LaunchFile,
    ListedJob,
    chosen_jobs,
    names_clash,
    read_launch_file,
    with_given,
)
from launch_action.core.launch_schema import page, schema
from launch_action.core.plain_yaml import read_yaml

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema_rs.Draft202012Validator(schema())


def read(text: str | bytes, name: str = "launch.yaml") -> LaunchFile:
    found = read_launch_file({name: text if isinstance(text, bytes) else text.encode()})
    assert found is not None
    return found


def refused(text: str | bytes, name: str = "launch.yaml") -> InputError:
    with pytest.raises(InputError) as caught:
        read(text, name)
    return caught.value


def job(options: str) -> str:
    """A file with one job of these options, written on lines of their own."""
    lines = "".join(f"    {line}\n" for line in options.splitlines())
    return f"jobs:\n  train:\n    entry-point: python train.py\n{lines}"


def only(options: str) -> ListedJob:
    return read(job(options)).jobs[0]


# ---- what is read --------------------------------------------------------------------------------


def test_a_file_lists_jobs_in_its_order_with_their_options() -> None:
    found = read(
        """
image: ghcr.io/Acme/Mono
defaults:
  python: 3.10
  env: {A: 1, B: yes}
jobs:
  Train:
    entry-point: [python, train.py, --name, a b]
    build-context: jobs/train
    env:
      B: 2
    platform: [linux/amd64, linux/arm64]
    install-project: true
    timeout: 30m
    paths: libs/
  evaluate:
    entry-point: python -m evaluate
    python: "3.12"
"""
    )

    assert found.image == "ghcr.io/acme/mono"
    assert [one.key for one in found.jobs] == ["Train", "evaluate"]
    train, evaluate = found.jobs
    assert train.line == 7
    assert train.paths == ("libs/",)
    assert train.repository(found.image) == "ghcr.io/acme/mono/train"
    assert train.values == {
        "python": "3.10",
        "env": ("A=1", "B=2"),
        "entry-point": "python train.py --name 'a b'",
        "build-context": "jobs/train",
        "platform": ("linux/amd64", "linux/arm64"),
        "install-project": "true",
        "timeout": "30m",
    }
    assert evaluate.values["python"] == "3.12"
    assert evaluate.values["env"] == ("A=1", "B=yes")


def test_settings_keep_their_types_and_nest() -> None:
    found = only('set:\n  lr: 0.1\n  name: "1"\n  model.layers: 2\n  deep: {a: [1, null, true]}')

    assert found.values["set"] == (
        "lr=0.1", 'name="1"', "model.layers=2", 'deep={"a": [1, null, true]}',
    )  # fmt: skip


def test_limits_of_the_container_are_an_object() -> None:
    found = only("resource-args: {local-container: {cpus: 2, memory: 4g}}")

    assert json.loads(str(found.values["resource-args"])) == {
        "local-container": {"cpus": 2, "memory": "4g"}
    }


@pytest.mark.parametrize(
    ("written", "text"),
    [("90", "90.000000"), ("1.5", "1.500000"), ("'90'", "90"), ("1h30m", "1h30m")],
)
def test_a_time_is_seconds_or_as_it_is_written(written: str, text: str) -> None:
    assert only(f"timeout: {written}").values["timeout"] == text


def test_windows_lines_a_mark_of_order_and_comments_are_fine() -> None:
    text = "\ufeff# jobs\njobs:\n  a: {entry-point: python a.py} # one\n".replace("\n", "\r\n")

    assert read(text).jobs[0].values == {"entry-point": "python a.py"}


def test_the_other_ending_and_the_table_of_pyproject_are_read() -> None:
    table = '[project]\nname = "x"\n[tool.launch-action.jobs.a]\nentry-point = "python a.py"\n'

    assert read("jobs: {a: {entry-point: x}}", "launch.yml").name == "launch.yml"
    found = read(table, "pyproject.toml")
    assert (found.name, found.jobs[0].key, found.jobs[0].line) == ("pyproject.toml", "a", 3)


@pytest.mark.parametrize(
    "content", [b"", b'[project]\nname = "launch-action"\n', b'[tool.other]\nx = "launch-action"\n']
)
def test_a_project_file_without_the_table_lists_nothing(content: bytes) -> None:
    assert read_launch_file({"pyproject.toml": content}) is None
    assert read_launch_file({}) is None


def test_a_broken_project_file_without_the_word_is_not_looked_at() -> None:
    assert read_launch_file({"pyproject.toml": b"[broken"}) is None


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "launch.yaml: the file is not a mapping", "jobs:"),
        ("- a\n", "launch.yaml:1: the file is not a mapping", "jobs:"),
        ("job: {}\n", "launch.yaml:1: unknown option 'job' of the file", ""),
        ("image: ghcr.io/a/b\n", "launch.yaml:1: it lists no jobs", "`jobs:`"),
        ("jobs: {}\n", "launch.yaml:1: 0 jobs", "1 to 256"),
        ("jobs:\n", "launch.yaml:1: 'jobs' is not a mapping", "key"),
        ("jobs:\n  a:\n", "launch.yaml:2: 'a' is not a mapping", "`{}`"),
        ("jobs:\n  a: {}\n", "launch.yaml:2: job 'a' has no entry point", "entry-point"),
        ("jobs:\n  a:\n    entrypoint: x\n",
         "launch.yaml:3: unknown option 'entrypoint' of job 'a'", "did you mean 'entry-point'?"),
        (job("volumes: [/:/host]"), "launch.yaml:4: unknown option 'volumes'", "valid: "),
        (job("registry-password: x"),
         "launch.yaml:4: option 'registry-password' is not taken from here", "step"),
        (job("allow-untrusted: true"),
         "launch.yaml:4: option 'allow-untrusted' is not taken from here", "step"),
        (job("push: true"), "launch.yaml:4: option 'push' is not taken from here", "step"),
        (job("image: ghcr.io/a/b"), "launch.yaml:4: option 'image' is not taken", "step"),
        (job("resource: local-process"), "launch.yaml:4: option 'resource' is not", "step"),
        (job("secret: a=b"), "launch.yaml:4: option 'secret' is not taken", "step"),
        (job("builder: docker"), "launch.yaml:4: input 'builder' cannot be 'docker'", "valid: "),
        (job("install-project: 'yes'"), "launch.yaml:4: 'install-project' of job 'train' is true "
         "or false", "true or false"),
        (job("compile: yes"), "launch.yaml:4: 'compile' of job 'train' is true or false", "auto"),
        (job("python: true"), "launch.yaml:4: 'python' of job 'train' is a text", "quote"),
        (job("python:"), "launch.yaml:4: 'python' of job 'train' is a text, not null", ""),
        (job("python: ''"), "launch.yaml:4: 'python' of job 'train' is empty", "leave it out"),
        (job("python: [3.11]"), "launch.yaml:4: 'python' of job 'train' is a text", ""),
        (job("platform: []"), "launch.yaml:4: 'platform' of job 'train' is empty", ""),
        (job("alias: [mine, key-x]"), "launch.yaml:4: not an alias: 'key-x'", "the store's"),
        (job("alias: a b"), "launch.yaml:4: not a tag: 'a b'", ""),
        (job("fail-if: [loss > 1, loss << 1]"),
         "launch.yaml:4: input 'fail-if' is no condition: 'loss << 1'", "valid: <="),
        (job("compression: brotli"), "launch.yaml:4: input 'compression' cannot be", "gzip"),
        (job("platform: [linux/amd64, amiga]"), "launch.yaml:4: not a platform: 'amiga'", ""),
        (job("python: latest"), "launch.yaml:4: --python: not a Python version", ""),
        ("jobs:\n  a:\n    entry-point: python 'x\n",
         "launch.yaml:3: entry point cannot be split into words", ""),
        (job("timeout: soon"), "launch.yaml:4: input 'timeout' cannot be 'soon'", "90s"),
        (job("timeout: 0"), "launch.yaml:4: input 'timeout' cannot be", "90s"),
        (job("env: [A=1]"), "launch.yaml:4: 'env' of job 'train' is not a mapping", "NAME"),
        (job("env:\n  TOKEN:"), "launch.yaml:5: 'TOKEN' in 'env' has no value", "--env TOKEN"),
        (job("env:\n  A=B: 1"), "launch.yaml:5: not a name in 'env': 'A=B'", ""),
        (job("env:\n  A: |\n    one\n    two"), "launch.yaml:5: 'A' in 'env' has several", ""),
        (job("env: {A: {B: 1}}"), "launch.yaml:4: 'A' in 'env' has no value", ""),
        (job("service:\n  redis: alwyas"),
         "launch.yaml:5: not a policy of service 'redis': 'alwyas'", "did you mean 'always'?"),
        (job("set: {a..b: 1}"), "launch.yaml:4: not a name in 'set': 'a..b'", ""),
        (job("base-image: oci:/srv/base"), "launch.yaml:4: a base on this machine", "registry"),
        (job("build-context: ../x"), "launch.yaml:4: 'build-context' leaves the repository", ""),
        (job("schema: /etc/passwd"), "launch.yaml:4: 'schema' leaves the repository", "below"),
        (job("resource-args: {local-container: {volume: ['/:/host']}}"),
         "launch.yaml:4: resource-args: a volume is taken from the command line alone", ""),
        (job("resource-args: {local-container: {v: ['/:/host']}}"),
         "launch.yaml:4: resource-args: a volume is taken from the command line alone", ""),
        (job("resource-args: {local-container: {privileged: true}}"), "launch.yaml:4: ", ""),
        (job("resource-args: 4g"), "launch.yaml:4: resource-args: not options by resource", ""),
        (job("args: 'a'' b'"), "launch.yaml:4: input 'args' cannot be split", "quotation"),
        (job("paths: {}"), "launch.yaml:4: 'paths' of job 'train' is a text", ""),
        ("defaults: {job-name: x}\njobs: {a: {entry-point: x}}",
         "launch.yaml:1: option 'job-name' is not taken from here", ""),
        ("image: a/b/:c\njobs: {a: {entry-point: x}}", "launch.yaml:1: not an image", ""),
        ("image: ghcr.io/a/b:v1\njobs: {a: {entry-point: x}}", "launch.yaml:1: a repository", ""),
        ("jobs: {a b: {entry-point: x}}", "launch.yaml:1: not a job's key: 'a b'", "letters"),
        ("jobs: {../x: {entry-point: x}}", "launch.yaml:1: not a job's key: '../x'", "letters"),
        ("jobs: {'': {entry-point: x}}", "launch.yaml:1: not a job's key: ''", "letters"),
        ("jobs: {ä: {entry-point: x}}", "launch.yaml:1: not a job's key: 'ä'", "letters"),
        (f"jobs: {{{'a' * 65}: {{entry-point: x}}}}", "launch.yaml:1: not a job's key", "64"),
        ("jobs:\n  a: {entry-point: x}\n  A: {entry-point: y}\n",
         "launch.yaml:3: jobs 'a' and 'A' differ in case alone", "lower-case"),
        ("jobs:\n  a: {entry-point: x}\n  a: {entry-point: y}\n",
         "launch.yaml:3: 'a' is there twice", "line 2"),
        ("jobs:\n  a:\n\tentry-point: x\n", "launch.yaml:3: not YAML", "spaces"),
        ("jobs: {a: {entry-point: x}", "launch.yaml:1: not YAML", ""),
        ("jobs: {a: {entry-point: x}}\n---\njobs: {}\n", "launch.yaml:2: not YAML", ""),
        ("jobs: {a: {entry-point: !!python/name:os.system x}}",
         "launch.yaml:1: YAML's tag", "leave the tag out"),
        ("jobs: {a: {<<: {}, entry-point: x}}", "launch.yaml:1: unknown option '<<'", ""),
        ("jobs: {[a]: {}}", "launch.yaml:1: a name is a text", ""),
        (job("set: {a: .inf}"), "launch.yaml:4: not a value that JSON has", "quote"),
        (job('job-name: "a\\0b"'), "launch.yaml:4: a text holds a NUL", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, message: str, hint: str) -> None:
    error = refused(text)

    assert error.message.startswith(message)
    assert hint in error.hint


def test_a_text_that_is_not_utf_8_is_told_with_its_line() -> None:
    assert refused(b"jobs:\n  a: \xff\n").message == "launch.yaml:2: not UTF-8 text: byte 0xff"


@pytest.mark.parametrize("text", ["jobs: " + "[" * 100_000, "jobs: " + "{a: " * 3000])
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    assert "launch.yaml" in refused(text).message


def test_aliases_count_wherever_they_are_named() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"

    assert "too many parts" in refused(bomb).message
    assert "nested too deeply" in refused("a: &a [*a]\n").message


def test_an_alias_may_be_used() -> None:
    text = "jobs:\n  a: &a {entry-point: python a.py}\n  b: *a\n"

    assert [one.values for one in read(text).jobs] == [{"entry-point": "python a.py"}] * 2


def test_a_large_file_and_many_jobs_are_refused() -> None:
    many = "jobs:\n" + "".join(f"  j{n}: {{entry-point: x}}\n" for n in range(257))

    assert str(SIZE_LIMIT) in refused(b"#" * (SIZE_LIMIT + 1)).hint
    assert refused(many).message == "launch.yaml:1: 257 jobs"
    assert len(read(many.replace("  j256: {entry-point: x}\n", "")).jobs) == 256


def test_two_files_that_list_jobs_are_both_named() -> None:
    text = b"jobs: {a: {entry-point: x}}"
    table = b'[tool.launch-action.jobs.a]\nentry-point = "x"\n'

    with pytest.raises(InputError, match=r"launch.yaml and in launch.yml"):
        read_launch_file({"launch.yaml": text, "launch.yml": text})
    with pytest.raises(InputError, match=r"launch.yaml and in pyproject.toml \(\[tool"):
        read_launch_file({"launch.yaml": text, "pyproject.toml": table})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[tool.launch-action.jobs.a]\nentry-point = "x"\npython = 3.10\n',
         "pyproject.toml:3: 'python' of job 'a' is a text, not the number 3.1"),
        ('[tool.launch-action.jobs."a b"]\nentry-point = "x"\n',
         "pyproject.toml:1: not a job's key: 'a b'"),
        ('[tool.launch-action]\njobs.a.entrypoint = "x"\n',
         "pyproject.toml:2: unknown option 'entrypoint' of job 'a'"),
        ('[tool.launch-action]\nx = \n', "pyproject.toml:2: not TOML"),
        ('[tool]\nlaunch-action = "x"\n', "pyproject.toml:2: the file is not a mapping"),
    ],
)  # fmt: skip
def test_the_table_of_pyproject_is_told_of_with_its_lines(table: str, message: str) -> None:
    assert refused(table, "pyproject.toml").message.startswith(message)


# ---- choosing, and what is given beside ----------------------------------------------------------


def test_jobs_are_chosen_by_key_in_the_order_of_the_file() -> None:
    file = read("jobs: {a: {entry-point: x}, B: {entry-point: x}, c: {entry-point: x}}")

    assert [one.key for one in chosen_jobs(file, ())] == ["a", "B", "c"]
    assert [one.key for one in chosen_jobs(file, ("c", "b", "c"))] == ["B", "c"]
    with pytest.raises(InputError, match=r"no job 'd' in launch\.yaml"):
        chosen_jobs(file, ("a", "d"))


def test_what_is_given_wins_and_pairs_are_merged_by_name() -> None:
    values = only("python: '3.11'\nenv: {A: 1, B: 2}\nset: {lr: 0.1, n: 1}").values

    found = with_given(values, {"python": "3.12", "env": "B=3\nC", "set": ["lr=0.2"]})

    assert found["python"] == "3.12"
    assert found["env"] == ("A=1", "B=3", "C")
    assert found["set"] == ("n=1", "lr=0.2")
    assert found["entry-point"] == "python train.py"


def test_two_jobs_of_one_name_are_both_named() -> None:
    file = read("jobs:\n  a: {entry-point: x}\n  b: {entry-point: x}\n")

    error = names_clash([(one, "job-x") for one in file.jobs], file.name)

    assert error
    assert error.message == "launch.yaml:3: jobs 'a' and 'b' have one name: 'job-x'"
    assert "job-name" in error.hint
    assert names_clash([(file.jobs[0], "x"), (file.jobs[1], "y")], file.name) is None


# ---- the published schema ------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs" / "launch.schema.json").read_text("utf-8")

    assert published == page(), (
        "python -m launch_action.core.launch_schema > docs/launch.schema.json"
    )


def test_no_option_of_the_file_is_secret_or_says_where_things_go() -> None:
    outside = {
        "image", "store", "push", "run", "registry-ca", "insecure-registry", "allow-rename",
        "allow-untrusted", "check-remote", "registry-mirror", "cache-to", "resource", "config",
        "wandb-register", "github-token", "network", "add-host", "allow-file",
    }  # fmt: skip

    assert set(BY_NAME) >= IN_LAUNCH_FILE
    assert not IN_LAUNCH_FILE & outside
    assert not [name for name in IN_LAUNCH_FILE if BY_NAME[name].secret]


ACCEPTED = [
    "jobs: {a: {entry-point: python a.py}}",
    "$schema: https://example.com/x\nimage: ghcr.io/a/b\njobs: {a: {entry-point: [python, a.py]}}",
    "defaults: {entry-point: python a.py}\njobs: {a: {}, b: {build-context: jobs/b}}",
    job("python: 3.10\nresolve-date: 2024-01-01\nplatform: linux/arm64, linux/amd64"),
    job("timeout: 90\nset: {a: null, b.c: [1], d: {e: 1.5}}\nenv: {A: true, B: 1.0, C: ''}"),
    job("compile: auto\nsbom: true\nprovenance: false\ninstall-project: false\nbuilder: layers"),
    job("fail-if: [accuracy < 0.9, loss > 1]\nextras: gpu\ngroups: [a, b]\nalias: v1"),
    job("resource-args: {local-container: {cpus: 2}}\nschema: schema.json\npriority: high"),
    job("dockerfile: Dockerfile\nbuild-arg: {A: 1}\nlabel: {a.b/c: d}\nshm-size: 2g"),
    job("paths: ['libs/**', '!libs/docs']\nargs: --fast 1\nqueue: gpu\nset-var: {x: 1}"),
]
REFUSED = [
    "{}",
    "[]",
    "null",
    "jobs: []",
    "jobs: {}",
    "jobs: {a: null}",
    "jobs: {a: {}}",
    "image: x",
    "jobs: {a: {entry-point: ''}}",
    "jobs: {a: {entry-point: '  '}}",
    "jobs: {a: {entry-point: []}}",
    "jobs: {a: {entry-point: true}}",
    "jobs: {a: {entry-point: {}}}",
    "jobs: {-a: {entry-point: x}}",
    "jobs: {a/b: {entry-point: x}}",
    "jobs: {a..b: {entry-point: x}}",
    "x: 1\njobs: {a: {entry-point: x}}",
    "$schema: 1\njobs: {a: {entry-point: x}}",
    "image: true\njobs: {a: {entry-point: x}}",
    "defaults: []\njobs: {a: {entry-point: x}}",
    "defaults: {job-name: x}\njobs: {a: {entry-point: x}}",
    "defaults: {python: 3.11}\njobs: {a: {}}",
    job("unknown: 1"),
    job("push: true"),
    job("secret: a"),
    job("image: a/b"),
    job("python: null"),
    job("python: [x]"),
    job("timeout: soon"),
    job("timeout: 0"),
    job("timeout: -1"),
    job("timeout: 0s"),
    job("timeout: 30m1h"),
    job("builder: x"),
    job("compile: x"),
    job("install-project: auto"),
    job("install-project: 1"),
    job("platform: []"),
    job("platform: [[a]]"),
    job("platform: ['']"),
    job("env: [A=1]"),
    job("env: {A: null}"),
    job("env: {A: [1]}"),
    job("env: {'A=': 1}"),
    job("env: {'': 1}"),
    job('env: {A: "a\\nb"}'),
    job("set: {a.: 1}"),
    job("set: [a=1]"),
    job("base-image: oci:x"),
    job("build-context: /x"),
    job("build-context: a/../b"),
    job("schema: /x"),
    job("schema: ../x"),
    job("resource-args: x"),
    job("paths: []"),
    job("paths: {a: b}"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_the_schema_accepts_what_is_read(text: str) -> None:
    document: Any = read_yaml(text)
    errors = [
        f"{error.instance_path}: {error.message}" for error in VALIDATOR.iter_errors(document)
    ]

    assert not errors
    assert read(text).jobs


@pytest.mark.parametrize("text", REFUSED)
def test_the_schema_refuses_what_is_refused(text: str) -> None:
    assert not VALIDATOR.is_valid(read_yaml(text))
    assert refused(text)
