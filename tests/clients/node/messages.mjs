// Plays the essentials through @anthropic-ai/sdk: reads its task as JSON, prints what it met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const Anthropic = require("@anthropic-ai/sdk");

const WEATHER = {
  name: "get_weather",
  description: "Weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const CITIES = [{ role: "user", content: "What is the weather in Paris, London and Rome?" }];
const task = JSON.parse(readFileSync(0, "utf8"));
const say = (text) => [{ role: "user", content: `Hello [[sim: say="${text}"]]` }];
const texts = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const calls = (message) => message.content.filter((block) => block.type === "tool_use").map((block) => [block.name, block.input]);

const client = new Anthropic({ baseURL: task.origin, apiKey: task.key, maxRetries: 0 });
const met = { models: {}, refusals: {} };

for (const [wire, model] of Object.entries(task.models)) {
  const whole = await client.messages.create({ model, max_tokens: 100, messages: say("Hello from the other side.") });
  const stream = client.messages.stream({ model, max_tokens: 100, messages: say("One two three.") });
  const blocks = [];
  stream.on("contentBlock", (block) => blocks.push(block.type));
  const streamed = await stream.finalMessage();
  const tools = client.messages.stream({ model, max_tokens: 500, tools: [WEATHER], tool_choice: { type: "any" }, messages: CITIES });
  const called = await tools.finalMessage();
  const counted = await client.messages.countTokens({ model, messages: say("Hello.") });
  met.models[wire] = {
    whole: [texts(whole), whole.stop_reason, whole.usage.output_tokens, whole._request_id.startsWith("call_")],
    streamed: [texts(streamed), streamed.stop_reason, streamed.usage.output_tokens, blocks],
    tools: [calls(called), called.stop_reason],
    counted: counted.input_tokens > 0,
  };
}

for (const [name, asked] of Object.entries(task.refused)) {
  try {
    await client.messages.create({ max_tokens: 5, messages: say("x"), ...asked });
    met.refusals[name] = "answered";
  } catch (error) {
    met.refusals[name] = [error.constructor.name, error.status, error.error?.error?.type, error.error?.error?.details?.error_code];
  }
}

const broken = client.messages.stream({ model: task.models.chat, max_tokens: 100, messages: task.broken });
try {
  await broken.finalMessage();
  met.broken = "answered";
} catch (error) {
  met.broken = error instanceof Anthropic.APIError;
}

console.log(JSON.stringify(met));
