"""Who did what, when and why: written in the transaction of the act itself, chained, and provable afterwards."""

from accounts.audit.origin import Origin, from_here
from accounts.audit.record import Subject, act, record, refuse

__all__ = ["Origin", "Subject", "act", "from_here", "record", "refuse"]
