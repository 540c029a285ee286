"""What is done to pixels: augmentations and degradations."""
