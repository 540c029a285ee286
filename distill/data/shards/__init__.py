"""Data sets as WebDataset shards."""
