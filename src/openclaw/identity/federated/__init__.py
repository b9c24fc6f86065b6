"""Callers that somebody else vouches for: a proxy, a load balancer, an identity provider."""
