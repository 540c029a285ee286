"""The model card: an artifact's ``README.md``, with the head that the Hugging Face hub reads. Torch-free."""

from deploy.card.evidence import Evidence, Result
from deploy.card.write import CARD, card, write_card

__all__ = ["CARD", "Evidence", "Result", "card", "write_card"]
