"""Write data/tumours.csv from the copy that scikit-learn ships: one tumour per row, 30 measurements of each."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer

GROUPS = {"mean": "mean {}", "error": "{} error", "worst": "worst {}"}


def column(name: str) -> str:
    """scikit-learn's `worst concave points` as `concave_points_worst`."""
    group = next(group for group in GROUPS if group in name.split())
    return f"{name.replace(group, '').strip()} {group}".replace(" ", "_")


bunch = load_breast_cancer()
header = ["diagnosis", *(column(name) for name in bunch.feature_names)]
rows = [
    [str(bunch.target_names[label]), *(repr(float(value)) for value in values)]
    for label, values in zip(bunch.target, bunch.data, strict=True)
]
Path("data").mkdir(exist_ok=True)
Path("data/tumours.csv").write_text("".join(",".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")
