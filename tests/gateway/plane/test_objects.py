"""Whose objects at vendors are, as a worker asks it: what is not noted for a project is not there, and nobody guesses while nobody can be asked."""

import pytest

from gateway.errors import DependencyUnavailable
from gateway.plane.objects import MOST_SEEN_BYTES, Drop, NoSuchObject, Note, ObjectQuestion, Objects, Ownership, Page, Search, Thing

THING = Thing("openai", "file", "file-1", b"{}")
HERE, NOWHERE = Objects(ok=True, found=(THING,)), Objects(ok=True)


class Known:
    """Answers every question alike and remembers them."""

    def __init__(self, answer: Objects) -> None:
        self.answer, self.asked = answer, list[ObjectQuestion]()

    async def ask(self, question: ObjectQuestion) -> Objects:
        self.asked.append(question)
        return self.answer


async def test_an_object_is_found_for_its_project_with_the_account_that_holds_it() -> None:
    known = Known(HERE)
    assert await Ownership(known.ask).owner_of("p", "file-1", kind="file", account="openai") == THING
    assert known.asked == [Search("p", ("file-1",), "openai", "file")]


@pytest.mark.parametrize("object_id", ["file-1", "", "x" * 201])
async def test_what_was_not_noted_for_the_project_is_not_there(object_id: str) -> None:
    with pytest.raises(NoSuchObject) as caught:
        await Ownership(Known(NOWHERE).ask).owner_of("p", object_id, kind="file", param="input_file_id")
    assert (caught.value.status, caught.value.param) == (404, "input_file_id")
    assert caught.value.message == f"There is no file {object_id[:100]!r} in this project."


async def test_an_object_of_another_project_cannot_be_noted() -> None:
    known = Known(NOWHERE)
    with pytest.raises(NoSuchObject):
        await Ownership(known.ask).note("p", "k", THING, 7)
    assert known.asked == [Note("p", "k", "openai", "file", "file-1", b"{}", 7)]


async def test_what_a_vendor_tells_at_length_is_not_kept() -> None:
    known = Known(HERE)
    await Ownership(known.ask).note("p", "k", Thing("openai", "file", "file-1", b"x" * (MOST_SEEN_BYTES + 1)))
    assert known.asked == [Note("p", "k", "openai", "file", "file-1")]


async def test_a_list_is_filtered_to_the_project_and_what_is_gone_is_forgotten() -> None:
    known = Known(HERE)
    ownership = Ownership(known.ask)
    assert await ownership.filter_list("p", "openai", ["file-1", "file-2"]) == {"file-1"}
    assert await ownership.page(Page("p", "file", 20)) == HERE
    await ownership.drop("p", "openai", "file-1")
    assert known.asked == [Search("p", ("file-1", "file-2"), "openai"), Page("p", "file", 20), Drop("p", "openai", "file-1")]


async def test_nobody_guesses_while_nobody_can_be_asked() -> None:
    ownership = Ownership()
    with pytest.raises(DependencyUnavailable):
        await ownership.owner_of("p", "file-1", kind="file")
    with pytest.raises(DependencyUnavailable):
        await ownership.note("p", "k", THING)
    with pytest.raises(DependencyUnavailable):
        await ownership.filter_list("p", "openai", ["file-1"])
