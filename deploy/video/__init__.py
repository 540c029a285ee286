"""What a detector says of a clip: frames as they are decoded, one robust score, and how steady it is. Torch-free."""
