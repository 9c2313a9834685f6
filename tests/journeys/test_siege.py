"""A budget is neither overspent nor stuck, and no call lost, whatever dies, hangs or comes back empty while callers spend it."""

import random

import pytest

from tests.journeys.siege import Siege

pytestmark = pytest.mark.journey
TROUBLES = [
    "a worker is killed", "a steward is killed", "Celery is killed", "Valkey is stopped", "Valkey is flushed", "Valkey hangs", "Postgres is restarted",
    "Postgres is killed", "Postgres hangs", "a worker hangs", "a steward hangs",
]  # fmt: skip


@pytest.mark.parametrize("troubles", [TROUBLES[:3], TROUBLES[3:6], TROUBLES[6:9], TROUBLES[9:]], ids=["processes", "valkey", "postgres", "hangs"])
def test_a_budget_survives(besieged: Siege, troubles: list[str]) -> None:
    besieged.assault(300, troubles, 0.3)


@pytest.mark.chaos
@pytest.mark.long
def test_a_budget_survives_very_many_troubles(besieged: Siege, chaos_rounds: int) -> None:
    dice = random.Random()
    besieged.dice.seed(dice.randrange(1 << 30))
    for turn in range(chaos_rounds):
        troubles = dice.sample(TROUBLES, dice.randint(1, 4))
        print(f"round {turn + 1}: {', '.join(troubles)}", flush=True)
        besieged.assault(dice.choice([50, 200, 600]), troubles, dice.uniform(0.1, 0.8))
