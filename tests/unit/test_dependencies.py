from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from launch_action.core.credentials import without_credentials
from launch_action.core.dependencies import (
    DependencyInputs,
    cutoff,
    fingerprint,
    read_dependencies,
)
from launch_action.core.errors import BuildError, InputError, LaunchError

SHA = "a" * 64
PROJECT = """[project]
name = "a"
version = "1"
dependencies = ["numpy>=1"]
[project.optional-dependencies]
viz = ["tabulate"]
"""
LOCK = """version = 1
[[package]]
name = "a"
version = "1"
source = { virtual = "." }
[package.metadata]
requires-dist = [
  { name = "numpy", specifier = ">=1" },
  { name = "tabulate", marker = "extra == 'viz'" },
]
"""


def from_files(files: dict[str, str], extras: Sequence[str] = ()) -> DependencyInputs:
    content = {name: text.encode() for name, text in files.items()}
    return read_dependencies(content.get, extras=extras)


def fault(files: dict[str, str], extras: Sequence[str] = ()) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        from_files(files, extras)
    return caught.value


def digits(inputs: DependencyInputs, **changed: object) -> str:
    settings: dict[str, object] = {
        "python": "3.12",
        "platform": "linux/amd64 glibc 2.28",
        "cutoff": "2026-01-01T00:00:00Z",
        "local": dict.fromkeys(inputs.local, "git:1"),
    }
    return fingerprint(inputs, **(settings | changed))  # type: ignore[arg-type]


def test_requirements_come_before_a_project_which_comes_before_nothing() -> None:
    both = {"requirements.txt": "numpy\n", "pyproject.toml": PROJECT, "uv.lock": LOCK}
    assert from_files(both).kind == "requirements"
    del both["requirements.txt"]
    assert (from_files(both).kind, from_files(both).main) == ("uv-lock", "uv.lock")
    del both["uv.lock"]
    assert (from_files(both).kind, from_files(both).main) == ("pyproject", "pyproject.toml")
    assert from_files({}).kind == "none"


def test_an_empty_requirements_file_is_a_declaration() -> None:
    assert from_files({"requirements.txt": "", "pyproject.toml": PROJECT}).kind == "requirements"


def test_every_included_file_is_reached_relative_to_its_includer() -> None:
    inputs = from_files(
        {
            "requirements.txt": "-r deps/a.txt\n-c deps/limits.txt\n",
            "deps/a.txt": "numpy\n-r more/b.txt\n",
            "deps/more/b.txt": "-r ../../c.txt\npandas\n",
            "c.txt": "six\n",
            "deps/limits.txt": "numpy<3\n",
        }
    )
    assert [path for path, _ in inputs.files] == [
        "c.txt",
        "deps/a.txt",
        "deps/limits.txt",
        "deps/more/b.txt",
        "requirements.txt",
    ]
    assert [one.name for one in inputs.requirements] == ["numpy", "six", "pandas"]
    assert [one.text for one in inputs.constraints] == ["numpy<3"]


def test_a_file_included_twice_is_read_once() -> None:
    inputs = from_files(
        {"requirements.txt": "-r a.txt\n-r b.txt", "a.txt": "-r c.txt", "b.txt": "-r c.txt",
         "c.txt": "six"}
    )  # fmt: skip
    assert [one.name for one in inputs.requirements] == ["six"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"requirements.txt": "a\n-r gone.txt"}, "requirements.txt:2: no such file"),
        ({"requirements.txt": "-r x/a.txt", "x/a.txt": "\n-r ../../a.txt"}, "x/a.txt:2: outside"),
        ({"requirements.txt": "-r /etc/passwd"}, "requirements.txt:1: outside"),
        ({"requirements.txt": "-r https://h/a.txt"}, "requirements.txt:1: a file of another host"),
        ({"requirements.txt": "-r a.txt", "a.txt": "-r requirements.txt"}, "a.txt:1: "),
        ({"requirements.txt": "../pkg"}, "requirements.txt:1: outside"),
        ({"requirements.txt": "-f ../wheels"}, "requirements.txt:1: outside"),
        ({"requirements.txt": "./pkg"}, "requirements.txt:1: no Python project"),
        ({"requirements.txt": "-c c.txt", "c.txt": "./w-1-py3-none-any.whl"}, "c.txt:1: a path"),
    ],
)
def test_what_cannot_be_followed_is_a_build_error_at_its_line(
    files: dict[str, str], words: str
) -> None:
    found = fault(files)
    assert isinstance(found, BuildError)
    assert found.message.startswith(words)


def test_a_cycle_is_told_with_its_chain() -> None:
    found = fault({"requirements.txt": "-r a.txt", "a.txt": "-c a.txt"})
    assert "requirements.txt -> a.txt -> a.txt" in found.message


def test_local_paths_are_relative_to_the_context_and_collected() -> None:
    inputs = from_files(
        {
            "requirements.txt": "-r sub/a.txt\n-f ./wheels\n-f https://h/links",
            "sub/a.txt": "-e ./pkg\nlib/w-1-py3-none-any.whl",
            "pkg/pyproject.toml": "",
        }
    )
    assert inputs.local == ("lib/w-1-py3-none-any.whl", "pkg", "wheels")
    assert [(str(one.origin), one.text) for one in inputs.notices] == [
        ("sub/a.txt:1", "pkg: an editable install becomes a normal one")
    ]


def test_the_context_itself_can_be_required() -> None:
    inputs = from_files({"requirements.txt": "-e .", "pyproject.toml": PROJECT})
    assert inputs.local == (".",)


def test_only_hashes_everywhere_or_a_lock_pin() -> None:
    assert from_files({"requirements.txt": f"a==1 --hash=sha256:{SHA}"}).pinned
    assert from_files({"pyproject.toml": PROJECT, "uv.lock": LOCK}).pinned
    assert not from_files({"requirements.txt": "a==1"}).pinned
    assert not from_files({"pyproject.toml": PROJECT}).pinned


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"a==1 --hash=sha256:{SHA}\nb==1", "requirements.txt:2: no hash for 'b==1'"),
        (f"a>=1 --hash=sha256:{SHA}", "requirements.txt:1: a hash needs one version"),
        (f"a==1.* --hash=sha256:{SHA}", "requirements.txt:1: a hash needs one version"),
        ("--require-hashes\na==1", "requirements.txt:2: no hash"),
    ],
)
def test_hashes_are_for_all_or_none(text: str, words: str) -> None:
    assert fault({"requirements.txt": text}).message.startswith(words)


def test_names_of_variables_are_kept_and_nothing_else_of_them() -> None:
    inputs = from_files(
        {"requirements.txt": "-i https://${U}:${P}@h/\n-r a.txt", "a.txt": "-f https://${P}@h/"}
    )
    assert inputs.variables == ("P", "U")


def test_a_trusted_host_is_not_followed_and_said_so() -> None:
    (notice,) = from_files({"requirements.txt": "--trusted-host h\n"}).notices
    assert "--trusted-host h is not followed" in notice.text


def test_extras_are_those_of_the_project() -> None:
    assert from_files({"pyproject.toml": PROJECT}, ["VIZ"]).extras == ("VIZ",)
    found = fault({"pyproject.toml": PROJECT}, ["vis"])
    assert isinstance(found, InputError)
    assert found.hint == "did you mean 'viz'?"
    assert isinstance(fault({"requirements.txt": ""}, ["viz"]), InputError)
    assert isinstance(fault({}, ["viz"]), InputError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[project]\nname = 'a'\ndynamic = ['dependencies']\n", "pyproject.toml:3: project.dep"),
        ("[project]\ndependencies = [\n 'six',\n 'numpy=>1',\n]\n", "pyproject.toml:4: not a req"),
        ("[project]\ndependencies = 'six'\n", "pyproject.toml:2: not a list"),
        ("[project\n", "pyproject.toml:1: not TOML"),
        ("a = " + "[" * 20_000, "pyproject.toml: not TOML"),
        (
            "[project]\ndependencies = ['b']\n[tool.uv.sources]\nb = { workspace = true }\n",
            "pyproject.toml:2: tool.uv.sources gives a workspace source",
        ),
        (
            "[project]\ndependencies = ['bb']\n[tool.uv.sources]\nbb = { path = '../bb' }\n",
            "pyproject.toml:2: outside",
        ),
    ],
)
def test_a_project_that_cannot_be_read_is_named_with_its_line(text: str, words: str) -> None:
    assert fault({"pyproject.toml": text}).message.startswith(words)


@pytest.mark.parametrize(
    "place",
    [
        '[[packages.wheels]]\nname = "six-1-py3-none-any.whl"\nhashes = { sha256 = "0" }\n',
        '[packages.vcs]\ntype = "git"\ncommit-id = "0"\n',
    ],
)
def test_a_lock_with_what_is_no_url_is_named_with_its_line(place: str) -> None:
    head = 'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "six"\nversion = "1"\n'
    text = f'{head}{place}url = "https://me:hunter2@[x/six-1-py3-none-any.whl"\n'
    words = "not a URL: 'https://[x/six-1-py3-none-any.whl'"
    assert fault({"pylock.toml": text}).message == f"pylock.toml:{text.count(chr(10))}: {words}"


def test_a_project_table_that_is_missing_declares_nothing() -> None:
    assert from_files({"pyproject.toml": "[tool.ruff]\n"}) == DependencyInputs("none")
    assert from_files({"pyproject.toml": "[tool.poetry]\nname = 'a'\n"}).kind == "none"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("numpy>=1", "numpy>=2", "pyproject.toml:4: uv.lock was made without 'numpy>=2'"),
        ('"numpy>=1"', '"numpy>=1", "six"', "pyproject.toml:4: uv.lock was made without 'six'"),
        ('"numpy>=1"', "", "pyproject.toml:4: uv.lock still requires 'numpy'"),
    ],
)
def test_a_lock_of_other_dependencies_is_refused(old: str, new: str, words: str) -> None:
    changed = PROJECT.replace(old, new)
    assert fault({"pyproject.toml": changed, "uv.lock": LOCK}).message.startswith(words)


def test_the_lock_names_local_packages_but_not_the_project() -> None:
    more = LOCK + '[[package]]\nname = "sub"\nsource = { editable = "libs/sub" }\n'
    assert from_files({"pyproject.toml": PROJECT, "uv.lock": more}).local == ("libs/sub",)


def test_the_fingerprint_is_the_same_for_the_same_and_differs_for_every_input() -> None:
    files = {"requirements.txt": "-r a.txt\n-e ./p", "a.txt": "six", "p/setup.py": ""}
    inputs = from_files(files)
    base = digits(inputs)
    assert base == digits(from_files(files))
    changed = [
        digits(from_files(files | {"a.txt": "six "})),
        digits(from_files(files | {"requirements.txt": "-r ./a.txt\n-e ./p"})),
        digits(inputs, python="3.13"),
        digits(inputs, platform="linux/arm64 glibc 2.28"),
        digits(inputs, cutoff=None),
        digits(inputs, local={"p": "git:2"}),
        digits(inputs, indexes=["https://h/simple"]),
        digits(from_files({"pyproject.toml": PROJECT})),
        digits(from_files({"pyproject.toml": PROJECT}, ["viz"])),
    ]
    assert len({base, *changed}) == 10


def test_credentials_do_not_change_the_fingerprint() -> None:
    def of(login: str) -> str:
        inputs = from_files({"requirements.txt": f"-i https://{login}h/simple\nsix"})
        return digits(inputs, indexes=[f"https://{login}i/"])

    assert of("") == of("me:secret@") == of("${U}:${P}@") == of("token@")
    assert of("") != of("other-host.")


def test_credentials_are_taken_out_of_urls() -> None:
    text = "-i https://a:b@h/x and git+ssh://git@h/y or mail me@h"
    assert without_credentials(text) == "-i https://h/x and git+ssh://h/y or mail me@h"
    assert without_credentials("'https://a:p@ss@h/x@1'") == "'https://h/x@1'"


COMMITTED = 1_700_000_000  # 2023-11-14 22:13:20 UTC
TODAY = date(2026, 1, 1)


def test_the_cutoff_is_midnight_utc_of_the_commit() -> None:
    assert cutoff(COMMITTED, None, TODAY) == "2023-11-14T00:00:00Z"
    assert cutoff(COMMITTED, "", TODAY) == "2023-11-14T00:00:00Z"
    assert cutoff(COMMITTED, "2024-02-29", TODAY) == "2024-02-29T00:00:00Z"


def test_there_is_no_cutoff_for_what_is_pinned_or_latest() -> None:
    assert cutoff(COMMITTED, None, TODAY, pinned=True) is None
    assert cutoff(COMMITTED, "latest", TODAY) is None


def test_the_cutoff_is_never_in_the_future() -> None:
    assert cutoff(4_000_000_000, None, TODAY) == "2026-01-01T00:00:00Z"
    with pytest.raises(InputError, match="'2026-01-02'"):
        cutoff(COMMITTED, "2026-01-02", TODAY)


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "20240101", "2024-1-1", "LATEST"])
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"not a date: '{text}'"):
        cutoff(COMMITTED, text, TODAY)
