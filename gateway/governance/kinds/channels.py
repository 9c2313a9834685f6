"""Notification channels and webhooks by name. A secret is named, not written."""

from collections.abc import Mapping
from datetime import time
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from accounts import channels, webhooks
from accounts.models import NotificationChannel
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.places import project_at, project_names, unit_at, unit_names
from gateway.governance.references import Reference, value_of


class ChannelEntry(Entry, frozen=True):
    """A channel; one with `event_types` is a webhook. Neither project nor business unit: the whole platform."""

    name: str
    kind: str
    options: dict[str, str]
    secret: Reference | UnsetType = UNSET
    project: tuple[str, ...] | None = None
    business_unit: tuple[str, ...] | None = None
    event_types: tuple[str, ...] | UnsetType = UNSET
    least_severity: Literal["info", "warning", "critical"] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    digest: Literal["", "hourly", "daily"] | UnsetType = UNSET
    quiet_from: time | UnsetType = UNSET
    quiet_until: time | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET


SET = ("kind", "options", "least_severity", "is_active", "digest", "quiet_from", "quiet_until", "time_zone")


def read() -> Mapping[Name, tuple[ChannelEntry, NotificationChannel]]:
    """Return every channel without its secret."""
    projects, units = project_names(), unit_names()
    found: dict[Name, tuple[ChannelEntry, NotificationChannel]] = {}
    for row in NotificationChannel.objects.filter(person=None):
        shown: dict[str, Any] = {field: UNSET if getattr(row, field) is None else getattr(row, field) for field in SET}
        place: dict[str, Any] = {}
        if row.project_id:
            place = {"project": projects[row.project_id]}
        elif row.business_unit_id:
            place = {"business_unit": units[row.business_unit_id]}
        found[(row.name,)] = (ChannelEntry(name=row.name, event_types=tuple(row.event_types), **place, **shown), row)
    return found


def make(entry: ChannelEntry, hand: Hand) -> None:
    """Make a channel."""
    _store(NotificationChannel(name=entry.name), entry, value_of(entry.secret))


def change(row: NotificationChannel, entry: ChannelEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; another host needs the secret again."""
    _store(row, entry, value_of(entry.secret) if names & {"secret", "options", "kind"} else "")


def _store(row: NotificationChannel, entry: ChannelEntry, secret: str) -> None:
    for field in SET:
        if getattr(entry, field) is not UNSET:
            setattr(row, field, getattr(entry, field))
    row.project = project_at(entry.project) if entry.project is not None else None
    row.business_unit = unit_at(entry.business_unit) if entry.business_unit is not None else None
    if not isinstance(entry.event_types, UnsetType):
        row.event_types = list(entry.event_types)
    if row.event_types:
        webhooks.save_webhook(row, secret)
    else:
        channels.save_channel(row, secret)


def remove(row: NotificationChannel, hand: Hand) -> None:
    """Delete a channel with its messages."""
    channels.delete_channel(row)


def is_stored(row: NotificationChannel, reference: Reference) -> bool:
    """Say whether the stored secret is the named one."""
    return channels.opened_secret(row).partition(" ")[0] == value_of(reference)


def name(entry: Any) -> Name:
    """Return the name."""
    return (entry.name,)


KIND = Kind(section="channels", order=90, entry=ChannelEntry, name=name, read=read, make=make, change=change, remove=remove, secret={"secret": is_stored})
