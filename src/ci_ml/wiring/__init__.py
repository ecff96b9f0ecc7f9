"""Where environment, adapters and use cases meet; the only place that reads the environment. Layer: wiring."""
