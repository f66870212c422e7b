"""A new layout directory, written by several threads from its first moment on."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from launch_action.core.image import Descriptor
from launch_action.oci.layout import LayoutContent

THREADS = 6


def test_threads_that_make_a_layout_together_do_not_take_it_for_something_else(
    tmp_path: Path,
) -> None:
    for round_ in range(100):
        content = LayoutContent(tmp_path / f"{round_}", "new")
        together = threading.Barrier(THREADS)

        def put(number: int, content: LayoutContent, together: threading.Barrier) -> None:
            data = b"%d" % number
            together.wait()
            content.put_blob(Descriptor.of(data, "text/plain"), lambda: io.BytesIO(data))

        with ThreadPoolExecutor(THREADS) as pool:
            waiting = [pool.submit(put, n, content, together) for n in range(THREADS)]
        for one in waiting:
            one.result()
