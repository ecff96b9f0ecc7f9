"""Mathematics only: numbers in, numbers out. Layer: stats (imports only errors)."""
