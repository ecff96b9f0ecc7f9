"""DVC: what its files define, what its cache holds, and running it. Layer: adapters.

dvc itself is imported inside functions only: it costs half a second, and no command pays for what it does not use.
"""
