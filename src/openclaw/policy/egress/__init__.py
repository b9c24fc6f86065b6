"""Where bytes may go: the door, its lists, and what people ask of them."""
