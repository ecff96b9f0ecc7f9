"""The outside world, one module per foreign system. Layer: adapters; they do not know each other."""
