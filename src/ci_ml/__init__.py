"""Gates for machine learning in CI."""

__version__ = "0.1.0"
