"""Seals of other vendors' signatures: what a client keeps comes back to the wire that made it, and to no other."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.terms import Part, PartKind
from gateway.wire.signatures import is_valid, kept, seal, seal_call, told, unseal, unseal_call

WIRES = st.sampled_from(("anthropic_messages", "openai_responses", "gemini", "openai_chat"))


@given(WIRES, st.text())
def test_a_sealed_signature_comes_back_whole(wire: str, signature: str) -> None:
    assert unseal(seal(wire, signature)) == (wire, signature)
    assert unseal_call(seal_call(wire, signature)) == (wire, signature)
    assert unseal_call(seal(wire, signature)) == ("", "")


@given(WIRES, WIRES, st.text(min_size=1))
def test_what_a_client_keeps_is_read_as_it_was_told(client: str, maker: str, signature: str) -> None:
    if not signature.startswith("sgw1."):
        assert kept(told(signature, maker, client), client) == (signature, maker)


def test_a_clients_own_vendors_signature_travels_as_it_is() -> None:
    assert told("ErUB", "anthropic_messages", "anthropic_messages") == "ErUB"
    assert told("ErUB", "anthropic_messages", "openai_chat") == "sgw1.anthropic_messages.ErUB"
    assert (told("", "anthropic_messages", "openai_chat"), kept("", "openai_chat")) == ("", ("", ""))


def test_what_merely_looks_like_a_seal_is_a_signature() -> None:
    assert (unseal("sgw1."), unseal("sgw1.x"), unseal("sgw1..y"), unseal("sgw2.a.b")) == (("", "sgw1."), ("", "sgw1.x"), ("", "sgw1..y"), ("", "sgw2.a.b"))


def test_a_signature_counts_with_its_own_vendor_only() -> None:
    part = Part(kind=PartKind.REASONING, text="Hm.", signature="ErUB", signed_by="anthropic_messages")
    assert [is_valid(part, wire) for wire in ("anthropic_messages", "gemini")] == [True, False]
    assert not is_valid(Part(kind=PartKind.REASONING, signed_by="gemini"), "gemini")
