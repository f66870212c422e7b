"""Train a classifier on the digits that scikit-learn ships; log to W&B (offline) and metrics.json."""

import json
import os
import time
from pathlib import Path

import wandb
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    with wandb.init(config={"C": 0.1, "test_size": 0.25}) as run:
        config = dict(run.config)
        data = load_digits()
        train_x, test_x, train_y, test_y = train_test_split(
            data.data, data.target, test_size=config["test_size"], random_state=0
        )
        model = make_pipeline(StandardScaler(), LogisticRegression(C=config["C"], max_iter=500))
        started = time.perf_counter()
        model.fit(train_x, train_y)
        metrics = {
            "accuracy": round(float(model.score(test_x, test_y)), 4),
            "fit_seconds": round(time.perf_counter() - started, 3),
        }
        run.log(metrics)
    output = Path(os.environ.get("LAUNCH_OUTPUT_DIR", "."))
    (output / "metrics.json").write_text(json.dumps(metrics))
    print(f"accuracy {metrics['accuracy']} with C={config['C']}")


if __name__ == "__main__":
    main()
