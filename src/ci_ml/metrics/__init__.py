"""What is aggregated of a table of predictions, and which interval judges it: one family per file. Layer: metrics."""
