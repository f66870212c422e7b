import json, os, pathlib
import sys
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"arguments": sys.argv[1:]}))
