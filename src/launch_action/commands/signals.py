"""SIGINT and SIGTERM: the program ends by an exception, so that it cleans up on its way."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from launch_action.core.errors import Interrupted, LaunchError, Terminated
from launch_action.process import end_all

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# Seconds until an exception that got lost is raised once more.
_SOON = 0.01


class TerminatedError(BaseException):
    """SIGTERM: the run of the program ends."""


def listen() -> list[int]:
    """Raise KeyboardInterrupt at SIGINT and TerminatedError at SIGTERM, in the main thread.

    The numbers of those that came are in the list.
    """
    told: list[int] = []

    def tell(number: int, _frame: FrameType | None) -> NoReturn:
        told.append(number)
        end_all()
        raise KeyboardInterrupt if number == signal.SIGINT else TerminatedError

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for a job of a script's background
            signal.signal(number, tell)
    _lose_nothing()
    return told


def _lose_nothing() -> None:
    """Raise an end of the program once more that was raised where all exceptions are ignored.

    So it is in finalizers and in callbacks of weak references, which the interpreter does whenever
    it likes: what they raise is printed and forgotten (`sys.unraisablehook`).
    """
    lost: list[BaseException] = []

    def take(what: UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt | TerminatedError | SystemExit):
            lost.append(what.exc_value)
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            sys.__unraisablehook__(what)

    def again(_number: int, _frame: FrameType | None) -> None:
        if lost:
            raise lost.pop()

    signal.signal(signal.SIGALRM, again)
    sys.unraisablehook = take


def listen_no_more() -> None:
    """Nothing is left to clean up: SIGTERM ends the process as it does by default."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def interruption(number: int) -> LaunchError:
    """The error of a program that was told to end by this signal."""
    return Interrupted() if number == signal.SIGINT else Terminated()
