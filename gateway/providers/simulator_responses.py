"""The shipped simulator, spoken to on the Responses wire alone. Its answers are made up and labelled so."""

from gateway.providers import Provider

PROVIDER = Provider(
    keeps=frozenset({"responses"}),
    slug="simulator_responses",
    title="Simulator (Responses wire, simulated)",
    wires={"responses": "openai_responses"},
    simulated=True,
)
