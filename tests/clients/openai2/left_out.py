"""Reads streams that say more than openai 2.x knows: its task as JSON, prints what it met as JSON. Knows nothing of the product."""

import json
import sys

import openai

task = json.load(sys.stdin)
client = openai.OpenAI(api_key="k", base_url=task["origin"] + "/v1")
with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "Hello"}]) as chat:
    chat.until_done()
completions = client.completions.create(model="m", prompt="Hello", stream=True)
with client.responses.stream(model="m", input="Hello") as responses:
    final = responses.get_final_response()
met = {
    "chat": chat.get_final_completion().choices[0].message.content,
    "completions": "".join(each.choices[0].text for each in completions if each.choices),
    "responses": [final.output_text, final.model_extra["sgw"]],
}
print(json.dumps(met))
