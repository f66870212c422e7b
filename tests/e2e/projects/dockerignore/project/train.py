import json, os, pathlib
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({"files": sorted(str(p) for p in pathlib.Path().rglob("*") if p.is_file())}))
