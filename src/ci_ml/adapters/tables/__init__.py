"""Tables with one row per test example, and the engines that aggregate them. Layer: adapters."""
