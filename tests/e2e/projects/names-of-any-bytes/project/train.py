import json
import os
import pathlib

found = [p for p in pathlib.Path().rglob("*") if p.is_file()]
names = sorted(
    os.fsencode(p).replace(b"\xff\xfe", b"?").decode() for p in found
)
assert all(p.read_text() for p in found)
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"files": names}))
