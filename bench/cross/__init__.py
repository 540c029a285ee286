"""What a detector makes of generators that it never saw: trained on some, tested on all."""
