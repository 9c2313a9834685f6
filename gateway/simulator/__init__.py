"""A deterministic upstream that speaks the OpenAI and Anthropic wires over real HTTP. It imports nothing from the rest of the project."""
