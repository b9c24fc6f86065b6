"""Everything that the OpenAPI document allows, and much that it does not, against the real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.gateway.process import TOKEN, gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UNTRUE = "positive_data_acceptance"
"""The one check left out: what names an agent, a session or an earlier answer cannot be told by a schema."""


async def test_every_answer_is_one_that_the_document_describes(tmp_path: Path) -> None:
    async with gateway(tmp_path / "state") as running:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{running.http_url}/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--checks", "all", "--exclude-checks", UNTRUE),
            *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "10", "--max-failures", "5"),
            *("--generation-deterministic", "--no-color"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
        )
        try:
            async with asyncio.timeout(60):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, told.decode()[-6000:]
        assert "generated" in told.decode()
        lines = [line for line in running.output().splitlines() if line.startswith("{")]
        assert not [line for line in lines if json.loads(line).get("level") == "error"]
        assert "request_crashed" not in running.output()
