"""Tests of openclaw.ops.service."""
