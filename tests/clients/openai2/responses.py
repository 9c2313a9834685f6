"""Plays Responses through openai 2.x: reads its task as JSON, prints what it met as JSON. Knows nothing of the product."""

import json
import sys
from typing import Any

import openai

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    "strict": True,
}


def played(client: openai.OpenAI, model: str) -> Any:
    first = client.responses.create(model=model, input="What is the weather in Paris, London and Rome?", tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": f"rain in {call.name}"} for call in calls]
    with client.responses.stream(model=model, input=results, tools=[WEATHER], previous_response_id=first.id) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    client.responses.delete(first.id)
    try:
        client.responses.retrieve(first.id)
        gone = ""
    except openai.NotFoundError as error:
        gone = str(error.code)
    return {
        "cities": [json.loads(call.arguments)["city"] for call in calls],
        "went_on": final.output_text.count("rain in get_weather"),
        "numbered": numbers == list(range(len(numbers))),
        "gone": gone,
    }


task = json.load(sys.stdin)
client = openai.OpenAI(base_url=task["base_url"], api_key=task["key"], max_retries=0)
print(json.dumps({model: played(client, model) for model in task["models"]}))
