"""MLflow: what is logged of trainings, and models that are registered. Layer: adapters.

mlflow itself is imported inside functions only: it costs two seconds.
"""

from ci_ml.adapters.mlflow.tracking import CONTEXT_VARIABLE, MARK, Tracking, stage_environment

__all__ = ["CONTEXT_VARIABLE", "MARK", "Tracking", "stage_environment"]
