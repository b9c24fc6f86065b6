"""Testing actions and agents without a gateway, a model or a network.

from openclaw.testing import run_action, run_agent

def test_it_counts() -> None:
    assert run_action(WordCount(), text="one two") == "2"

def test_an_agent_uses_it() -> None:
    reply = run_agent('/tool word_count {"text": "one two"}', WordCount())
    assert reply.actions[0].result == "2"
"""

from openclaw.models.fake.client import FakeClient as FakeModel
from openclaw.testing.action import call_action, make_context, run_action
from openclaw.testing.agent import AgentHarness, run_agent

__all__ = ["AgentHarness", "FakeModel", "call_action", "make_context", "run_action", "run_agent"]
