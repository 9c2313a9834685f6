"""Where a call may go."""

import random
from collections import Counter

import pytest
from msgspec import structs

from billing.money import Price, Rates
from gateway import errors
from gateway.plane.plan import ASSUMED_CONTEXT_TOKENS, ASSUMED_OUTPUT_TOKENS, check_unlisted, lowered, narrowed, plan
from gateway.terms import UNTOLD, Besides, Reference
from gateway.wire.openai_chat.media_usage import IMAGE_TOKENS

from . import builders


def draw() -> random.Random:
    return random.Random(7)


def test_deployments_come_in_order_and_cost_is_quoted_at_the_dearest() -> None:
    second, first = builders.deployment(upstream="b", order=1), builders.deployment(upstream="a", order=0)
    found = plan(builders.call(body=b"x" * 10, max_output_tokens=5), builders.caller(), builders.snapshot(builders.model("chat", second, first)), draw())
    assert [d.upstream_model for d in found.deployments] == ["a", "b"]
    assert (found.quote_nanousd, found.quote_tokens) == ((10 + 64) * 1_000 + 5 * 2_000, 10 + 64 + 5)


def test_every_answer_that_is_asked_for_is_quoted() -> None:
    snapshot = builders.snapshot(builders.model("chat", builders.deployment()))
    named = plan(builders.call(max_output_tokens=3 * 5, answers=3), builders.caller(), snapshot, draw())
    assert named.output_tokens == 15
    assert plan(builders.call(answers=3), builders.caller(), snapshot, draw()).output_tokens == 3 * ASSUMED_OUTPUT_TOKENS


def test_a_conversation_of_unknown_length_is_quoted_as_long_as_the_model_can_read() -> None:
    for context_tokens, assumed in ((128_000, 128_000), (0, ASSUMED_CONTEXT_TOKENS)):
        known = builders.snapshot(structs.replace(builders.model("chat", builders.deployment()), context_tokens=context_tokens))
        plain, long = (plan(builders.call(history_tokens=tokens), builders.caller(), known, draw()) for tokens in (0, UNTOLD))
        assert long.quote_tokens - plain.quote_tokens == assumed


def test_what_may_be_cached_for_an_hour_is_quoted_at_that_rate() -> None:
    hour = Rates(input_nanousd=1_000_000_000, output_nanousd=0, cache_write_nanousd=1_250_000_000, cache_write_1h_nanousd=2_000_000_000)
    known = builders.snapshot(builders.model("chat", builders.deployment(price=Price(id="p", rates=hour))))
    bodies = (b'{"system":"x","ttl":"5m"}', b'{"cache_control":{"ttl":"1h"}}', b'{"prompt_cache_retention":"24h"}')
    rates = [plan(builders.call(body=body, max_output_tokens=1), builders.caller(), known, draw()).quote_nanousd // (len(body) + 64) for body in bodies]
    assert rates == [1_250, 2_000, 2_000]


def test_searches_and_a_summary_that_are_asked_for_are_quoted_besides_the_answer() -> None:
    rates = Rates(input_nanousd=1_000_000_000, output_nanousd=5_000_000_000, web_search_nanousd=10_000_000_000_000)
    known = builders.snapshot(builders.model("chat", builders.deployment(price=Price(id="p", rates=rates))))
    asked = builders.call(body=b"x" * 936, max_output_tokens=10)
    most = (None, Besides(3), Besides(0, 200, 1_000), Besides(0, 200, 1_001), Besides(3, 200, 1_000))
    plans = [plan(structs.replace(asked, besides=besides), builders.caller(), known, draw()) for besides in most]
    answer, searches, summary = 1_000 * 1_000 + 10 * 5_000, 3 * 10_000_000, 1_000 * 1_000 + 200 * 5_000
    assert [(found.quote_nanousd, found.quote_tokens, found.output_tokens) for found in plans] == [
        (answer, 1_010, 10),
        (answer + searches, 1_010, 10),
        (answer + summary, 2_210, 10),
        (answer, 1_010, 10),
        (answer + searches + summary, 2_210, 10),
    ]


def test_weights_share_calls_within_one_order() -> None:
    parts = (builders.deployment(upstream="a", weight=300), builders.deployment(upstream="b", weight=100))
    snapshot, dice = builders.snapshot(builders.model("chat", *parts)), draw()
    firsts = Counter(plan(builders.call(), builders.caller(), snapshot, dice).deployments[0].upstream_model for _ in range(4_000))
    assert 2_850 < firsts["a"] < 3_150


@pytest.mark.parametrize(
    ("call", "caller", "refusal"),
    [
        ({"model": "other"}, {}, errors.NoSuchModel),
        ({}, {"models": frozenset({"another"})}, errors.NotAllowed),
        ({"endpoint": "embeddings"}, {}, errors.BadRequest),
        ({"account": "nowhere"}, {}, errors.NoSuchModel),
        ({"model": "empty"}, {}, errors.NoSuchModel),
        ({"model": "unpriced"}, {}, errors.PriceUnknown),
    ],
)
def test_what_may_not_be_called_is_refused(call: dict[str, object], caller: dict[str, object], refusal: type[errors.Refusal]) -> None:
    unpriced = builders.model("unpriced", builders.deployment(upstream="u", price=None))
    snapshot = builders.snapshot(builders.model("chat", builders.deployment()), builders.model("empty"), unpriced)
    with pytest.raises(errors.Refusal) as caught:
        plan(builders.call(**call), builders.caller(**caller), snapshot, draw())
    assert type(caught.value) is refusal


def test_a_provider_path_knows_upstream_names_and_stays_at_its_account() -> None:
    here, there = builders.deployment("acme", "up-1"), builders.deployment("other", "up-2")
    accounts = (builders.sealed_account("acme"), builders.sealed_account("other"))
    snapshot = builders.snapshot(builders.model("chat", here, there), accounts=accounts)
    assert plan(builders.call(account="other", model="up-2"), builders.caller(), snapshot, draw()).deployments == (there,)
    assert plan(builders.call(account="acme", model="chat"), builders.caller(), snapshot, draw()).deployments == (here,)


def test_a_free_model_needs_no_price() -> None:
    free = builders.model("chat", builders.deployment(price=None), unknown_price="free")
    assert plan(builders.call(), builders.caller(), builders.snapshot(free), draw()).quote_nanousd == 0


def test_an_upstream_name_shared_by_two_models_means_the_one_the_key_may_use() -> None:
    snapshot = builders.snapshot(builders.model("first", builders.deployment()), builders.model("second", builders.deployment()))
    found = plan(builders.call(account="acme", model="up-1"), builders.caller(models=frozenset({"second"})), snapshot, draw())
    assert found.model.name == "second"


@pytest.mark.parametrize(
    ("left_nanousd", "left_tokens", "output_tokens"),
    [
        (None, None, None),
        (10_000_000, None, None),
        (74_000 + 2 * 2_000, None, None),
        (74_000 + 30 * 2_000, None, 30),
        (None, 74 + 20, 20),
        (74_000 + 30 * 2_000 + 1_999, 74 + 40, 30),
        (0, None, None),
    ],
)
def test_an_output_limit_is_lowered_to_what_is_left_if_that_is_of_use(
    left_nanousd: int | None, left_tokens: int | None, output_tokens: int | None
) -> None:
    asked = builders.call(body=b"x" * 10, max_output_tokens=100)
    whole = plan(asked, builders.caller(), builders.snapshot(builders.model("chat", builders.deployment())), draw())
    fewer = lowered(whole, left_nanousd, left_tokens)
    assert (fewer.output_tokens if fewer else None) == output_tokens
    if fewer is not None:
        assert (fewer.quote_nanousd, fewer.quote_tokens) == (74_000 + fewer.output_tokens * 2_000, 74 + fewer.output_tokens)


def test_a_model_that_is_not_cleared_for_a_projects_data_is_refused() -> None:
    snapshot = builders.snapshot(builders.model("chat", builders.deployment(), cleared_for=1))
    inside = builders.caller()
    close = structs.replace(inside, project=builders.project(data_class=2))
    assert plan(builders.call(), structs.replace(inside, project=builders.project(data_class=1)), snapshot, draw()).model.name == "chat"
    with pytest.raises(errors.DataClassNotAllowed) as caught:
        plan(builders.call(), close, snapshot, draw())
    assert (caught.value.status, caught.value.code, caught.value.remedy) == (403, "data_class_not_allowed", "data_class")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"lifecycle": "requested"}, "not approved yet"),
        ({"lifecycle": "retired"}, "GET /v1/models"),
        ({"lifecycle": "retired", "successor": "newer"}, "Use 'newer'"),
    ],
)
def test_a_model_that_is_served_no_more_or_not_yet_says_so(model: dict[str, str], words: str) -> None:
    snapshot = builders.snapshot(builders.model("chat", builders.deployment(), **model))
    with pytest.raises(errors.NoSuchModel, match=words):
        plan(builders.call(), builders.caller(), snapshot, draw())


def test_an_alias_is_the_model_itself() -> None:
    snapshot = builders.snapshot(builders.model("chat", builders.deployment(), aliases=("fast", "chat-latest")))
    assert plan(builders.call(model="fast"), builders.caller(models=frozenset({"chat"})), snapshot, draw()).model.name == "chat"


@pytest.mark.parametrize(("pictures", "output_nanousd", "is_refused"), [(1, 0, False), (2, 0, True), (2, 40_000, False)])
def test_a_model_paid_by_the_piece_makes_one_a_call(pictures: int, output_nanousd: int, is_refused: bool) -> None:
    price = Price(id="p", rates=Rates(input_nanousd=0, output_nanousd=output_nanousd), request_nanousd=40_000_000)
    snapshot = builders.snapshot(builders.model("chat", builders.deployment(price=price), kind="image"))
    call = builders.call(endpoint="images/generations", max_output_tokens=pictures * IMAGE_TOKENS)
    if not is_refused:
        assert plan(call, builders.caller(), snapshot, draw()).output_tokens == pictures * IMAGE_TOKENS
        return
    with pytest.raises(errors.BadRequest) as caught:
        plan(call, builders.caller(), snapshot, draw())
    assert caught.value.param == "n"


def test_close_data_goes_to_no_endpoint_that_nobody_cleared() -> None:
    inside = builders.caller()
    check_unlisted(structs.replace(inside, project=builders.project(data_class=1)))
    with pytest.raises(errors.DataClassNotAllowed):
        check_unlisted(structs.replace(inside, project=builders.project(data_class=2)))


def test_a_place_is_read_only_by_accounts_that_name_it() -> None:
    accounts = tuple(builders.sealed_account(slug, options=options) for slug, options in (("a", {}), ("b", {"reads": "gs://x/ gs://shared/a"})))
    snapshot = builders.snapshot(builders.model("chat", builders.deployment("a"), builders.deployment("b")), accounts=accounts)
    found = plan(builders.call(), builders.caller(), snapshot, draw())
    file, place = Reference("contents[0]", "files/a"), Reference("contents[1]", "gs://shared/a/b.pdf", is_place=True)
    assert [d.account for d in narrowed(found, "", (file, place), snapshot).deployments] == ["b"]
    assert narrowed(found, "", (file,), snapshot) == found
    assert [d.account for d in narrowed(found, "a", (), snapshot).deployments] == ["a"]
    with pytest.raises(errors.BadRequest) as held_elsewhere:
        narrowed(found, "a", (place,), snapshot)
    assert (held_elsewhere.value.param, "the option `reads`" in held_elsewhere.value.message) == ("contents[1]", True)
    for other in ("gs://shared/ab.pdf", "gs://shared", "gs://shared/../shared/a", "GS://shared/a", "gs://y"):
        with pytest.raises(errors.BadRequest):
            narrowed(found, "", (structs.replace(place, object_id=other),), snapshot)
