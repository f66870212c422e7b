import json, os, pathlib
import idna
import six
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"idna": idna.__version__, "six": bool(six)}))
