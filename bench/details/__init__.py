"""What else a bench tells of its rows: their limit here, costly layers, cold start, memory, throughput, energy. Torch-free."""

from bench.details.add import add_details
from bench.details.form import Form, folders_of, form_of

__all__ = ["Form", "add_details", "folders_of", "form_of"]
