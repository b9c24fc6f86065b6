"""Workshop: the models. One client per wire API, providers as credentials and endpoints, profiles as data."""
