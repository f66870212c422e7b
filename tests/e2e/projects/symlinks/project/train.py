import json, os, pathlib
names = ("link.txt", "folder", "data/up")
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({
    "links": {name: os.readlink(name) for name in names},
    "content": pathlib.Path("folder/up").read_text().strip(),
}))
