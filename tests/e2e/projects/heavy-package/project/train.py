import json, os, pathlib
import numpy
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"total": int(numpy.arange(4).sum())}))
