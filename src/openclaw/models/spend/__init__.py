"""What calls cost: prices, caps, and the purse that sets the worst case aside and settles the real cost."""
