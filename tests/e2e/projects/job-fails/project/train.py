import json, os, pathlib
print("about to fail")
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"loss": 0.5}))
raise SystemExit(3)
