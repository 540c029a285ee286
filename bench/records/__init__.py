"""The records that this package writes into a run folder, each a pydantic model with a schema version. Torch-free."""
