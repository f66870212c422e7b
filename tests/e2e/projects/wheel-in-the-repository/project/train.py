import json, os, pathlib
import local_demo
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"version": local_demo.VERSION}))
