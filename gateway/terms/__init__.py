"""The words of the data plane as frozen values, shared by all its rooms. No behaviour, no I/O, no Django."""

from gateway.terms.base import Frozen
from gateway.terms.call import Account, Attempt, Budget, Call, Caller, Deadlines, Deployment, Header, Headers, Key, Limit, Model, Person, Plan, Project, Rules
from gateway.terms.conversation import Answer, Ask, Chunk, ChunkKind, Citation, Message, Part, PartKind, Tool, ToolChoice, Usage

__all__ = [
    "Account",
    "Answer",
    "Ask",
    "Attempt",
    "Budget",
    "Call",
    "Caller",
    "Chunk",
    "ChunkKind",
    "Citation",
    "Deadlines",
    "Deployment",
    "Frozen",
    "Header",
    "Headers",
    "Key",
    "Limit",
    "Message",
    "Model",
    "Part",
    "PartKind",
    "Person",
    "Plan",
    "Project",
    "Rules",
    "Tool",
    "ToolChoice",
    "Usage",
]
