"""A model that will be served no more says so in every answer's head (RFC 9745, RFC 8594)."""

from msgspec import structs

from tests.gateway.plane.corridor import Scene, Vendor
from tests.gateway.plane.test_attempts import GOOD, WHO, asked


async def test_answers_of_a_deprecated_model_say_since_when_until_when_and_what_instead() -> None:
    scene = Scene(one=Vendor(type(GOOD)(GOOD.pieces)))
    model = structs.replace(scene.snapshot.models["chat"], deprecated_at_s=1_777_593_600, retires_at_s=1_780_185_600, successor="a/b")
    scene.snapshot = structs.replace(scene.snapshot, models={"chat": model})
    heard, _ = await scene.carry(asked(), WHO)
    told = {name: heard.headers[name] for name in (b"deprecation", b"sunset", b"link")}
    assert told == {
        b"deprecation": b"@1777593600",
        b"sunset": b"Sun, 31 May 2026 00:00:00 GMT",
        b"link": b'</v1/models/a%2Fb>; rel="successor-version"',
    }


async def test_other_answers_say_nothing_of_it() -> None:
    scene = Scene(one=Vendor(type(GOOD)(GOOD.pieces)))
    heard, _ = await scene.carry(asked(), WHO)
    assert {b"deprecation", b"sunset", b"link"} & heard.headers.keys() == set()
