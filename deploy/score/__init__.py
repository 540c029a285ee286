"""An artifact's answers on millions of images, as a Parquet data set. Torch-free."""

from deploy.score.score import ScoreSummary, score

__all__ = ["ScoreSummary", "score"]
