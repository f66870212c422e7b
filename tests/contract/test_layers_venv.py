"""The dependency layers of an image, unpacked and used with a real interpreter."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from support.layers import layer_of
from support.wheels import Pinned, WheelMaker, pinned, rich

from launch_action.builders.layers.environment import Supply, Tree, environment_recipes
from launch_action.builders.layers.unpack import extract
from launch_action.core.base import PythonFacts
from launch_action.core.errors import BuildError

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
BASE = f"{sys.base_prefix}/bin/python{MINOR}"
FACTS = PythonFacts(".".join(map(str, sys.version_info[:3])), BASE)
HEAVY = 1 << 21


def supply(trees: Path | None = None) -> Supply[Pinned]:
    def tree(wheels: Sequence[Pinned]) -> AbstractContextManager[Tree]:
        return installed_by_uv(wheels, trees)

    return Supply(None if trees else (lambda wheel: wheel.path), tree)


@contextmanager
def installed_by_uv(wheels: Sequence[Pinned], place: Path | None) -> Iterator[Tree]:
    from uv import find_uv_bin

    assert place
    tree = place / wheels[0].name
    subprocess.run(
        [find_uv_bin(), "pip", "install", "--no-config", "--prefix", tree,
         "--python", sys.executable, "--no-index", "--no-deps", *[wheel.path for wheel in wheels]],
        check=True, capture_output=True,
    )  # fmt: skip
    yield Tree(tree, sys.executable)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image's root with a rich wheel and a light one in it, unpacked."""
    light = WheelMaker(name="light", files={"light.py": b"X = 1\n"})
    wheels = [
        (Pinned("rich-demo", "2.5", "r" * 64, rich(tmp_path)), HEAVY),
        (pinned(light, tmp_path), 10),
    ]
    root = tmp_path / "root"
    for recipe, _ in environment_recipes(wheels, FACTS, supply(), prefix="/opt/venv"):
        extract(io.BytesIO(layer_of(recipe.entries())[0]), root)
    return root


def run(image: Path, *arguments: str) -> str:
    done = subprocess.run(
        [image / "opt/venv/bin/python", "-I", *arguments],
        capture_output=True, text=True, check=True, env={},
    )  # fmt: skip
    return done.stdout


def test_python_takes_it_for_a_virtual_environment(image: Path) -> None:
    code = "import sys, json; print(json.dumps([sys.prefix, sys.base_prefix, sys.path]))"
    prefix, base, path = json.loads(run(image, "-c", code))
    assert prefix == str(image / "opt/venv")
    assert base == sys.base_prefix
    assert path[-1] == str(image / f"opt/venv/lib/python{MINOR}/site-packages")


def test_sysconfig_names_the_places_that_files_are_in(image: Path) -> None:
    code = "import sysconfig, json; print(json.dumps(sysconfig.get_paths()))"
    paths = json.loads(run(image, "-c", code))
    packages = str(image / f"opt/venv/lib/python{MINOR}/site-packages")
    assert (paths["purelib"], paths["platlib"]) == (packages, packages)
    assert paths["scripts"] == str(image / "opt/venv/bin")


def test_the_links_of_bin_lead_to_the_base(image: Path) -> None:
    found = {name: (image / "opt/venv/bin" / name).readlink() for name in
             ("python", "python3", f"python{MINOR}")}  # fmt: skip
    assert found == {
        "python": Path(BASE), "python3": Path("python"), f"python{MINOR}": Path("python"),
    }  # fmt: skip
    assert (image / "opt/venv/lib64").readlink() == Path("lib")


def test_pip_lists_and_checks_what_is_installed(image: Path) -> None:
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:
        pip = [BASE, "-m", "pip"]
    done = subprocess.run(
        [*pip, "--python", image / "opt/venv/bin/python", "list", "--format=json"],
        capture_output=True, check=True, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    assert {(one["name"], one["version"]) for one in json.loads(done.stdout)} == {
        ("light", "1.0"), ("rich_demo", "2.5"),
    }  # fmt: skip


def test_importlib_metadata_finds_every_file_with_its_hash(image: Path) -> None:
    code = (
        "import base64, hashlib, importlib.metadata as m, json\n"
        "found = {}\n"
        "for one in m.distributions():\n"
        "    assert one.read_text('INSTALLER') == 'launch-action\\n'\n"
        "    for file in one.files:\n"
        "        data = file.locate().read_bytes()\n"
        "        if file.hash:\n"
        "            digest = hashlib.new(file.hash.mode, data).digest()\n"
        "            digest = base64.urlsafe_b64encode(digest)\n"
        "            assert digest.decode().rstrip('=') == file.hash.value\n"
        "            assert file.size == len(data)\n"
        "        else:\n"
        "            assert file.name == 'RECORD'\n"
        "    found[one.name] = len(one.files)\n"
        "print(json.dumps(found))\n"
    )
    assert json.loads(run(image, "-c", code)) == {"light": 5, "rich_demo": 22}


def test_scripts_and_modules_work(image: Path) -> None:
    assert run(image, str(image / "opt/venv/bin/rich-demo")) == "main 1\n"
    assert run(image, str(image / "opt/venv/bin/run-me")) == "script\n"
    assert run(image, "-c", "import rich_pure, rich_plat, light; print(light.X)") == "1\n"
    assert (image / "opt/venv/bin/rich-demo").read_text().startswith("#!/opt/venv/bin/python\n")
    assert (image / "opt/venv/etc/rich.conf").read_text() == "a = 1\n"


def test_the_home_directory_is_the_jobs_alone() -> None:
    ((recipe, wheels),) = environment_recipes([], FACTS, supply(), prefix="/opt/venv")
    entry = next(entry for entry in recipe.entries() if entry.path == "home/job")
    assert (entry.kind, entry.mode, entry.uid, entry.gid) == ("directory", 0o770, 1000, 0)
    assert wheels == ()


def test_the_shared_layer_is_first_and_heavy_ones_are_sorted(tmp_path: Path) -> None:
    wheels = [
        (pinned(WheelMaker(name=name), tmp_path), size)
        for name, size in (("zeta", HEAVY), ("Alpha", HEAVY), ("small", 1), ("Other", 1))
    ]
    found = environment_recipes(wheels, FACTS, supply(), prefix="/opt/venv")
    assert [[wheel.name for wheel in members] for _, members in found] == [
        ["Other", "small"], ["Alpha"], ["zeta"],
    ]  # fmt: skip


def keys(
    wheels: Sequence[tuple[Pinned, int]], facts: PythonFacts = FACTS, prefix: str = "/v"
) -> list[str]:
    return [recipe.key for recipe, _ in environment_recipes(wheels, facts, supply(), prefix=prefix)]


def test_a_heavy_layers_key_depends_on_its_wheel_alone(tmp_path: Path) -> None:
    one, two = (pinned(WheelMaker(name=name), tmp_path) for name in ("one", "two"))
    alone = keys([(one, HEAVY)])[1]
    assert keys([(one, HEAVY), (two, HEAVY)])[1] == alone
    assert keys([(one, HEAVY)], PythonFacts(f"{MINOR}.99", "/elsewhere/python"))[1] == alone
    assert keys([(one, HEAVY)], prefix="/other")[1] != alone
    assert keys([(one, HEAVY)], PythonFacts("3.99.1", BASE))[1] != alone


def test_the_shared_layers_key_depends_on_interpreter_and_wheels(tmp_path: Path) -> None:
    one, two = (pinned(WheelMaker(name=name), tmp_path) for name in ("one", "two"))
    found = [
        keys([(one, 1)])[0],
        keys([(two, 1)])[0],
        keys([(one, 1), (two, 1)])[0],
        keys([])[0],
        keys([(one, 1)], PythonFacts(FACTS.version, "/elsewhere/python"))[0],
    ]
    assert len(set(found)) == len(found)
    assert keys([(one, 1), (two, 1)]) == keys([(two, 1), (one, 1)])


def test_what_uv_installed_is_another_key_and_the_same_tar(tmp_path: Path) -> None:
    wheels = [(Pinned("rich-demo", "2.5", "r" * 64, rich(tmp_path)), HEAVY)]
    (_, (by_wheel, _)) = environment_recipes(wheels, FACTS, supply(), prefix="/opt/venv")
    (_, (by_tree, _)) = environment_recipes(wheels, FACTS, supply(tmp_path), prefix="/opt/venv")
    assert by_wheel.key != by_tree.key
    assert layer_of(by_wheel.entries())[1].diff_id == layer_of(by_tree.entries())[1].diff_id


@pytest.mark.parametrize("size", [1, HEAVY])
@pytest.mark.parametrize(
    "path",
    [
        "scripts/python",
        "data/bin/python3",
        f"scripts/python{MINOR}",
        "data/pyvenv.cfg",
        "data/lib64",
    ],
)
def test_a_package_cannot_replace_the_environment_itself(
    tmp_path: Path, path: str, size: int
) -> None:
    maker = WheelMaker(files={f"demo-1.0.data/{path}": b"evil"})
    found = environment_recipes(
        [(pinned(maker, tmp_path), size)], FACTS, supply(), prefix="/opt/venv"
    )
    with pytest.raises(BuildError, match=r"demo-1\.0 would replace '/opt/venv/"):
        [list(recipe.entries()) for recipe, _ in found]


def test_what_goes_to_lib64_goes_where_its_link_leads(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo-1.0.data/data/lib64/x.so": b"elf"})
    ((recipe, _),) = environment_recipes(
        [(pinned(maker, tmp_path), 1)], FACTS, supply(), prefix="/opt/venv"
    )
    assert "opt/venv/lib/x.so" in {entry.path for entry in recipe.entries()}
