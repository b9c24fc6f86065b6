"""The npm packages and a gateway for the folder."""

from __future__ import annotations

from tests.npm.conftest import packages

__all__ = ("packages",)
