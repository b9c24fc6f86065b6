"""Reception: evidence to Principal, in constant time, with rate limits."""
