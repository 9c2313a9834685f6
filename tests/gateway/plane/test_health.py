"""When a deployment is left alone, and when it is tried again."""

from gateway.plane.health import Health


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_five_failures_open_and_one_probe_goes_through() -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(4):
        health.failed("d")
    assert (health.state("d"), health.admits("d")) == ("closed", True)
    health.failed("d")
    assert (health.state("d"), health.admits("d")) == ("open", False)
    clock.now += 2.1
    assert (health.state("d"), health.admits("d"), health.admits("d")) == ("half_open", True, False)
    health.succeeded("d")
    assert (health.state("d"), health.admits("d"), health.admits("d")) == ("closed", True, True)


def test_a_failed_probe_cools_twice_as_long() -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(5):
        health.failed("d")
    clock.now += 2.1
    assert health.admits("d")
    health.failed("d")
    clock.now += 3.9
    assert not health.admits("d")
    clock.now += 0.2
    assert health.admits("d")


def test_failures_far_apart_do_not_add_up() -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(20):
        health.failed("d")
        clock.now += 31
    assert health.state("d") == "closed"


def test_retry_after_is_respected_at_once_and_capped() -> None:
    clock = Clock()
    health = Health(clock)
    health.failed("d", 5.0)
    assert (health.admits("d"), health.retry_after_s("d")) == (False, 5.0)
    clock.now += 5
    assert (health.admits("d"), health.retry_after_s("d")) == (True, None)
    health.failed("e", 10_000.0)
    assert health.retry_after_s("e") == 600.0


def test_an_abandoned_probe_is_given_back() -> None:
    clock = Clock()
    health = Health(clock)
    health.failed("d", 1.0)
    clock.now += 1
    assert health.admits("d")
    health.abandoned("d")
    assert health.admits("d")


def test_retries_have_a_budget() -> None:
    clock = Clock()
    health = Health(clock)
    assert [health.may_retry() for _ in range(101)] == [True] * 100 + [False]
    for _ in range(20):
        health.counted_call()
    assert [health.may_retry() for _ in range(3)] == [True, True, False]
    clock.now += 0.15
    assert [health.may_retry() for _ in range(2)] == [True, False]
