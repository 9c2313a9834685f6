"""What vendors keep for those who hold a credential: collections of objects, as paths and answers tell of them. Knows nothing of whose they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.terms import Frozen

# what may stand before a collection: the API's version, and where bodies of files go
LEADING = frozenset({"openai", "upload", "v1", "v1beta", "v1alpha"})


class Collection(Frozen, frozen=True):
    """Objects of one `kind` below a `path` (words joined by slashes).

    An answer names an object in its field `name`; `is_name_whole` where that repeats the path, as Google's names do. A listing has its objects in `rows`
    ("" where it is nothing but them), which name them in `row_name`, and is gone on with by the query field `cursor`, from the last object's name or from
    what its field `next_page` says; where `first_page` says how its pages are numbered, by the next number, until a page tells nothing new.
    `makes` are the words below the path, or below an object, at which further objects of the kind are made, `beside` those below the path that are no object.
    `tells` are fields of its answers (dots lead into objects) that name objects of other kinds made with it. `root` is the surface whose clients reach it
    on their vendor's own paths too, "" for none. `is_free` is whether the vendor charges nothing for it: it is served at every account.
    """

    path: str
    kind: str
    root: str = ""
    name: str = "id"
    is_name_whole: bool = False
    row_name: str = "id"
    rows: str = "data"
    cursor: str = "after"
    next_page: str = ""
    first_page: str = ""
    makes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    tells: tuple[tuple[str, str], ...] = ()
    is_free: bool = False

    def object_id(self, word: str) -> str:
        """Return an object's id from the word of a path that names it."""
        bare = word.partition(":")[0]
        return f"{self.path}/{bare}" if self.is_name_whole else bare


class Found(Frozen, frozen=True):
    """What a path means in a collection: one object, "" for the collection itself, and what of it is asked ("" for itself)."""

    collection: Collection
    object_id: str = ""
    part: str = ""


def words_of(rest: str) -> list[str]:
    """Return the words of a provider path without those that only lead to the API."""
    words = rest.split("/")
    while words and words[0] in LEADING:
        del words[0]
    return words


def find(collections: Sequence[Collection], rest: str) -> Found | None:
    """Return what the rest of a provider path means among collections, the most exact one first; None for none of them."""
    words = words_of(rest)
    best: Found | None = None
    for collection in collections:
        leading = collection.path.split("/")
        # vendors differ in whether case matters, so it does not here
        if [word.lower() for word in words[: len(leading)]] != [word.lower() for word in leading]:
            continue
        if best is not None and len(collection.path) < len(best.collection.path):
            continue
        behind = words[len(leading) :]
        if "/".join(behind) in collection.beside:
            return None
        if not behind or "/".join(behind) in collection.makes:
            best = Found(collection, part="/".join(behind))
        else:
            method = behind[0].partition(":")[2]
            best = Found(collection, collection.object_id(behind[0]), "/".join(behind[1:]) or method)
    return best


def named(told: Mapping[str, Any], path: str) -> list[str]:
    """Return the ids that stand at a place of an answer: a text, or a list of texts."""
    value: Any = told
    for word in path.split("."):
        value = value.get(word) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one]
