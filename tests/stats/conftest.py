"""What of this folder `make test` runs.

The rest compares with statsmodels, which the lock does not have yet, or simulates for minutes: set CI_ML_SIMULATIONS=1.
"""

import os

collect_ignore = [
    "test_average_precision.py",
    "test_calibration.py",
    "test_classification.py",
    "test_clusters.py",
    "test_error_rates.py",
    "test_gaps.py",
    "test_holm.py",
    "test_mcnemar.py",
    "test_power.py",
    "test_quantiles.py",
    "test_repeats.py",
]
if os.environ.get("CI_ML_SIMULATIONS"):
    collect_ignore.clear()
