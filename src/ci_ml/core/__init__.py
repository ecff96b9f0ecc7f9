"""Values and decisions, no effects: the vocabulary of ci-ml and what follows from it. Layer: core."""
