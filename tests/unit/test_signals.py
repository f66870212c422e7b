"""A signal ends the program wherever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_BEGIN = """\
import os, signal, sys, time, weakref
from launch_action.commands.signals import TerminatedError, listen

class Thing:
    pass

class Final:
    def __del__(self):
        os.kill(os.getpid(), number)

number, kind = int(sys.argv[1]), sys.argv[2]
told = listen()
try:
    if kind == "finalizer":
        Final()
    elif kind == "callback":
        thing = Thing()
        reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
        del thing
    else:
        os.kill(os.getpid(), number)
    time.sleep(20)
    print("lost")
except (KeyboardInterrupt, TerminatedError) as error:
    print(type(error).__name__, told == [number])
"""


@pytest.mark.parametrize("kind", ["statement", "finalizer", "callback"])
@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "TerminatedError")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_is_never_lost(kind: str, number: signal.Signals, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN, str(int(number)), kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == (f"{name} True\n", "")


def test_what_else_is_raised_there_is_told_as_ever() -> None:
    code = """\
from launch_action.commands.signals import listen

class Final:
    def __del__(self):
        raise ValueError("as ever")

listen()
Final()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert "ValueError: as ever" in done.stderr
