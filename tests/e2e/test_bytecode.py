"""Bytecode of packages, as the job's own Python finds it."""

from __future__ import annotations

import re

import pytest
from support.program import Machine, succeeded
from support.repositories import Work

pytest_plugins = ["support.program_fixtures"]

pytestmark = pytest.mark.network

SCRIPT = """\
import six
print("job:", six.__spec__.cached, six.__loader__.get_code("six").co_filename)
"""


@pytest.mark.parametrize(("wanted", "taken"), [((), True), (("--no-compile",), False)])
def test_the_job_takes_the_bytecode_of_its_packages(
    wanted: tuple[str, ...], taken: bool, machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"train.py": SCRIPT, "requirements.txt": "six\n"})
    given = (*options[2:], *wanted, "--entry-point", "python -v train.py")
    ended = machine.run("launch", "--json", "-r", "local-process", *given, cwd=work.path)
    log = succeeded(ended).err
    cached, source = re.findall(r"job: (\S+) (\S+)", log)[0]
    assert source.endswith("/lib/python3.11/site-packages/six.py")
    # Without it Python compiles the module at the first import, and may keep it there.
    assert (f"created '{cached}'" in log) is not taken
    assert f"{cached} matches {source}" in log or not taken
