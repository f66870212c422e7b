"""Pictures of a preview: `python -m support.pictures STYLE OUT`, as scripts/pictures calls it.

A repository of three jobs has a pull request; the action runs for main and then for it, against a
registry and a GitHub of its own. What it wrote is shown by a browser with GitHub's style.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import services
from support.github_api import GitHubServer, serve_github
from support.github_runner import StepResult
from support.workflow import NAME, Workflow, workflow

from launch_action.core.preview_comment import read_report

NUMBER = 12
WIDTH, SCALE = 800, 2
LAUNCH = """\
defaults:
  entry-point: python main.py
jobs:
  train: {build-context: jobs/train, set: {C: 0.001}}
  evaluate: {build-context: jobs/evaluate}
  export: {build-context: jobs/export}
"""
TRAIN = """\
import json, os, pathlib, time
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split

config = json.loads(os.environ["WANDB_CONFIG"])
x, y = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(x / 16, y, test_size=0.25, random_state=0)
model = LogisticRegression(C=config["C"], max_iter=500).fit(train_x, train_y)
found, chances = model.predict(test_x), model.predict_proba(test_x)
metrics = {
    "accuracy": round(accuracy_score(test_y, found), 4),
    "loss": round(log_loss(test_y, chances), 4),
    "f1": round(f1_score(test_y, found, average="macro"), 4),
    "samples": len(test_y),
}
print(metrics)
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
"""
PLAIN = """\
import json, os, pathlib
import numpy
metrics = {"mean": float(numpy.arange(10).mean())}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
"""
MAIN = {
    "launch.yaml": LAUNCH,
    "jobs/train/main.py": TRAIN,
    "jobs/train/requirements.txt": "scikit-learn==1.6.1\nnumpy==2.2.6\nscipy==1.15.3\n",
    "jobs/evaluate/main.py": PLAIN,
    "jobs/evaluate/requirements.txt": "numpy==2.2.6\n",
    "jobs/export/main.py": PLAIN,
    "jobs/export/requirements.txt": "numpy==2.2.6\n",
}
TOPIC = {
    "launch.yaml": LAUNCH.replace("0.001", "0.1"),
    "jobs/train/requirements.txt": "scikit-learn==1.7.2\nnumpy==2.2.6\ntqdm==4.67.1\n",
    "jobs/export/requirements.txt": "numpy==2.2.6\nonnxx==1.18.0\n",
}
# As github.com frames a comment, and a job's summary; the rest is its published style.
FRAME = """\
<!doctype html><meta charset="utf-8"><style>%(style)s
body { margin: 16px; background: #fff;
       font: 14px -apple-system, "Noto Sans", "Liberation Sans", sans-serif; }
.frame { border: 1px solid #d1d9e0; border-radius: 6px; width: 766px; }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0;
        padding: 9px 16px; color: #59636e; }
.head b { color: #1f2328; }
.head span { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 6px; font-size: 12px; }
.markdown-body { padding: 16px; font-size: 14px; }
</style><div class="frame"><div class="head">%(head)s</div>
<div class="markdown-body">%(body)s</div></div>
"""
COMMENT = "<b>github-actions</b> <span>bot</span> commented"
SUMMARY = "<b>preview</b> summary"


@dataclass(frozen=True, slots=True)
class Studio:
    """Where pictures are taken: GitHub's style, the directory that they go to, whose registry."""

    style: str
    out: Path
    registry: str

    def take(
        self, name: str, markdown: str, head: str, *, fold: int = -1, alone: bool = False
    ) -> None:
        """A picture of markdown in its frame, with one of its folds opened, or of that alone."""
        import cmarkgfm
        from cmarkgfm.cmark import Options

        # The registry of the tests is none that a reader has; facts are escaped, commands are not.
        for spelling in (self.registry, self.registry.replace(":", "&#58;")):
            markdown = markdown.replace(spelling, "ghcr.io")
        body = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
        first, *parts = body.split("<details>")
        folds = [
            f"<details{' open' if number == fold else ''}>{part}"
            for number, part in enumerate(parts)
        ]
        shown = folds[fold] if alone else "".join((first, *folds))
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "page.html")
            page.write_text(FRAME % {"style": self.style, "head": head, "body": shown}, "utf-8")
            browse(page, Path(folder, "picture.png"))
            trim(Path(folder, "picture.png"), self.out / f"{name}.png")


def browse(page: Path, picture: Path) -> None:
    """The page as Chromium shows it, with a margin below that is cut off later."""
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", f"--force-device-scale-factor={SCALE}", f"--window-size={WIDTH},3000",
        f"--user-data-dir={page.parent / 'profile'}", f"--screenshot={picture}",
    )  # fmt: skip
    subprocess.run(["chromium", *flags, str(page)], check=True, capture_output=True, timeout=120)


def trim(picture: Path, out: Path) -> None:
    """Without the empty rest of the page, and in as few colours as it takes."""
    from PIL import Image, ImageChops

    whole = Image.open(picture).convert("RGB")
    box = ImageChops.difference(whole, Image.new("RGB", whole.size, "white")).getbbox()
    below = box[3] if box else whole.height
    shown = whole.crop((0, 0, whole.width, min(below + 16 * SCALE, whole.height)))
    shown.quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size // 1000} kB")


def preview(flow: Workflow, github: GitHubServer) -> StepResult:
    """The pull request's step, after one of main; `github` has the comment then."""
    flow.work.commit(MAIN)
    flow.push(run="true")
    flow.work.git("checkout", "--quiet", "-b", "topic")
    flow.work.commit(TOPIC)
    repository = github.repository(NAME)
    github.state.pull(repository, NUMBER, flow.commit)
    return flow.pull(NUMBER, run="true")


def main(style: str, out: str) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_github() as github,
        services.registry(Path(folder, "registry")) as registry,
    ):
        base = f"{registry.address}/{services.BASE}"
        services.push_layout(services.python_base_layout(), base)
        image = f"{registry.address}/acme/mono"
        with workflow(Path(folder), image, base, Path(folder, "tools")) as flow:
            del flow.inputs["entry-point"]
            # The commits of tests are older than these packages.
            options = flow.inputs["build-options"].replace("comment=false", "")
            flow.inputs["build-options"] = f"{options}\nresolve-date=latest"
            flow.also |= {"GITHUB_API_URL": github.url, "GITHUB_WORKFLOW": "preview"}
            step = preview(flow, github)
        (comment,) = github.repository(NAME).bodies(NUMBER)
        said: list[Any] = [one.body["body"] for one in github.seen if one.method != "GET"]
        near = registry.address
    studio = Studio(Path(style).read_text("utf-8"), Path(out), near)
    working = [body for body in said if _is_at_work(body)]
    if working:
        studio.take("preview-building", working[-1], COMMENT)
    studio.take("preview-comment", comment, COMMENT)
    studio.take("preview-details", comment, COMMENT, fold=2, alone=True)
    studio.take("preview-summary", step.summary, SUMMARY, fold=2)


def _is_at_work(body: str) -> bool:
    states = {row.state for row in read_report(body).rows}
    return "building" in states or "running" in states


if __name__ == "__main__":
    main(*sys.argv[1:])
