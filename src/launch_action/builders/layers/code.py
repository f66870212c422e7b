"""The project's files as the last layer of the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from launch_action.builders.layers.archive import CONTENT_VERSION, Chunks, Entry, LayerRecipe
from launch_action.builders.layers.image import JOB_GID, JOB_UID
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.writer import layer_key
from launch_action.core.context import Context, TreeFile, sort_key

APP = "app"
# Files keep git's two modes. Directories are group-writable: a job may write next to its code, also
# under a random user id of group 0.
_MODES = {"file": 0o644, "executable": 0o755, "symlink": 0o777}
_DIRECTORY = 0o775


def code_recipe(context: Context, files: Iterable[TreeFile], *, root: str = APP) -> LayerRecipe:
    """The layer of these files of the context, below `root`; its key needs no content read."""
    chosen = tuple(sorted(files, key=lambda file: sort_key(file.path)))
    rows = [(file.path, file.kind, file.content) for file in chosen]
    return LayerRecipe(
        key=layer_key("code", CONTENT_VERSION, root, rows),
        role="code",
        title=f"project code, {len(chosen)} file{'' if len(chosen) == 1 else 's'}",
        entries=lambda: code_entries(context, chosen, root=root),
    )


def code_entries(
    context: Context, files: Iterable[TreeFile], *, root: str = APP
) -> Iterator[Entry]:
    """The files below `root` with their directories, of user 1000 and group 0.

    Give the files sorted by the bytes of their paths. Each entry's content must be used up before
    the next entry is asked for, as `write_layer` does. Symbolic links are kept as they are,
    wherever they lead. Raises SourceError when an object is missing.
    """
    yield Entry(root, "directory", _DIRECTORY, uid=JOB_UID, gid=JOB_GID)
    for entry in with_parents(
        _files(context, files, root), mode=_DIRECTORY, uid=JOB_UID, gid=JOB_GID
    ):
        if entry.path != root:
            yield entry


def import_paths(files: Iterable[TreeFile], *, root: str = APP) -> tuple[str, ...]:
    """The directories of the image that belong on PYTHONPATH: `/app/src` for a `src` layout.

    That is a `src` directory that holds modules or packages and is not itself a package.
    """
    below = {file.path[4:] for file in files if file.path.startswith("src/")}
    if "__init__.py" in below:
        return ()
    python = (path for path in below if path.endswith(".py") and path.count("/") <= 1)
    return (f"/{root}/src",) if any(python) else ()


def _files(context: Context, files: Iterable[TreeFile], root: str) -> Iterator[Entry]:
    for file, chunks in context.contents(files):
        path = f"{root}/{file.path}"
        mode = _MODES[file.kind]
        if file.kind == "symlink":
            target = b"".join(chunks).decode("utf-8", "surrogateescape")
            yield Entry(path, "symlink", mode, uid=JOB_UID, gid=JOB_GID, target=target)
        else:
            yield Entry(path, "file", mode, _content(file, chunks), JOB_UID, JOB_GID)


def _content(file: TreeFile, chunks: Iterator[bytes]) -> Chunks:
    return Chunks(file.size, lambda: chunks)
