import json, os, pathlib
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"files": sorted(os.listdir())}))
