"""Imports modules one after the other and says of each, as a line of JSON, why it cannot be.

Runs in an image by its Python: `python corpus_imports.py MODULE...`. A line comes before the next
import begins, so that a crash names its module.
"""

import importlib
import json
import sys


def main() -> None:
    for name in sys.argv[1:]:
        reason = ""
        try:
            importlib.import_module(name)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
        print("\n@" + json.dumps([name, reason]), flush=True)


if __name__ == "__main__":
    main()
