import json, os, pathlib
import sys
env = os.environ
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps({
    "config": json.loads(env["WANDB_CONFIG"]), "arguments": sys.argv[1:], "given": env["GIVEN"],
    "taken": env["TAKEN"], "unasked": env.get("UNASKED", ""), "project": env["WANDB_PROJECT"],
    "name": env["WANDB_NAME"],
}))
