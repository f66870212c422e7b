"""YAML as people write job inputs: 1.2's core schema, whose values are those of JSON.

PyYAML reads YAML 1.1, in which `1e-3` is a text, `on` a boolean, `12:30` the number 750, and
`2026-01-01` a date. Source: YAML 1.2.2, section 10.3.2 ("Tag Resolution").
"""

from __future__ import annotations

import re
from typing import Any

import yaml

YamlError = yaml.YAMLError

# Tag, pattern, and the characters that a match can begin with.
_RESOLUTION = (
    ("null", r"null|Null|NULL|~|", ("n", "N", "~", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", ("t", "T", "f", "F")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", (*"-+0123456789",)),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        (*"-+.0123456789",),
    ),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema in the place of YAML 1.1's types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    return int(text)


for _tag, _pattern, _first in _RESOLUTION:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def compose_yaml(text: str) -> tuple[yaml.Node | None, _Loader]:
    """The nodes of a text's one document, with their lines, and what makes their values.

    Raises YamlError. An alias is the very node that it names: nothing is written out.
    """
    try:
        loader = _Loader(text)
        return loader.get_single_node(), loader
    except (RecursionError, ValueError, OverflowError) as error:
        raise YamlError(str(error)) from error


def read_yaml(text: str, *, texts: bool = False) -> Any:
    """The one document of a text; with `texts` every scalar as it is written. Raises YamlError."""
    loader = yaml.BaseLoader if texts else _Loader
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - no loader that makes objects
    except (RecursionError, ValueError, OverflowError) as error:
        raise YamlError(str(error)) from error
