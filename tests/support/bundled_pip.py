"""The pip that comes with this Python, which no environment needs to have."""

from __future__ import annotations

import ensurepip
import sysconfig
from pathlib import Path


def pip_wheel() -> Path:
    """Its wheel; pip also runs from there, as `python pip-*.whl/pip`."""
    elsewhere = sysconfig.get_config_var("WHEEL_PKG_DIR")
    places = [
        Path(ensurepip.__file__).parent / "_bundled",
        *([Path(elsewhere)] if elsewhere else []),
    ]
    found = [wheel for place in places for wheel in sorted(place.glob("pip-*.whl"))]
    return found[0]
