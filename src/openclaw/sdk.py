"""The window for action authors: re-exports only. `from openclaw import Action` is the short way in."""

from openclaw.base.errors import ToolError
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.tools.action import Action, Context, action
from openclaw.tools.workspace import Workspace

__all__ = ["Action", "Context", "Principal", "Secret", "ToolError", "Workspace", "action"]
