"""One regression test, named with its id, for every published weakness of gateways like this one that we know of."""
