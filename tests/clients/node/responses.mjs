// Plays Responses through openai for Node: reads its task as JSON, prints what it met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const OpenAI = require("openai");

const WEATHER = {
  type: "function",
  name: "get_weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  strict: true,
};

async function played(client, model) {
  const input = "What is the weather in Paris, London and Rome?";
  const first = await client.responses.create({ model, input, tools: [WEATHER] });
  const calls = first.output.filter((item) => item.type === "function_call");
  const results = calls.map((call) => ({ type: "function_call_output", call_id: call.call_id, output: `rain in ${call.name}` }));
  const stream = client.responses.stream({ model, input: results, tools: [WEATHER], previous_response_id: first.id });
  const numbers = [];
  for await (const event of stream) numbers.push(event.sequence_number);
  const final = await stream.finalResponse();
  await client.responses.delete(first.id);
  const gone = await client.responses.retrieve(first.id).then(
    () => "",
    (error) => error.code,
  );
  return {
    cities: calls.map((call) => JSON.parse(call.arguments).city),
    went_on: final.output_text.split("rain in get_weather").length - 1,
    numbered: numbers.every((number, place) => number === place),
    gone,
  };
}

const task = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: task.base_url, apiKey: task.key, maxRetries: 0 });
const told = {};
for (const model of task.models) told[model] = await played(client, model);
console.log(JSON.stringify(told));
