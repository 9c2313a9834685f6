// Plays the essentials through openai for Node: reads its task as JSON, prints what it met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const OpenAI = require("openai");
const { makeParseableResponseFormat } = require("openai/lib/parser");

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CITIES = [{ role: "user", content: "What is the weather in Paris, London and Rome?" }];
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const WEATHER = { type: "function", function: { name: "get_weather", parameters: object({ city: { type: "string" } }) } };
const STEP = object({ explanation: { type: "string" }, value: { type: "integer" } });
const SOLUTION = object({ steps: { type: "array", items: STEP }, final: { type: "string" }, certain: { type: "boolean" } });

const task = JSON.parse(readFileSync(0, "utf8"));
const say = (text) => [{ role: "user", content: `Hello [[sim: say="${text}"]]` }];
const read = (calls) => calls.map(([name, text]) => [name, JSON.parse(text)]);

/** A client that counts its requests, retries included. */
function clientOf({ key = task.key, path = "", ...options } = {}) {
  const counter = { requests: 0 };
  const counted = (...request) => {
    counter.requests += 1;
    return fetch(...request);
  };
  return [new OpenAI({ baseURL: task.base_url + path, apiKey: key, fetch: counted, ...options }), counter];
}

async function streamed(client, model, options = {}) {
  const met = { content: "", finish: [], usage: [] };
  for await (const chunk of await client.chat.completions.create({
    model,
    messages: say("One two three."),
    stream: true,
    ...options,
  })) {
    for (const choice of chunk.choices) {
      met.content += choice.delta.content ?? "";
      if (choice.finish_reason) met.finish.push(choice.finish_reason);
    }
    if (chunk.usage || !chunk.choices.length) met.usage.push(chunk.usage?.completion_tokens);
  }
  return met;
}

async function streamedTools(client, model) {
  const calls = [];
  const finish = [];
  for await (const chunk of await client.chat.completions.create({ model, messages: CITIES, tools: [WEATHER], stream: true })) {
    if (chunk.choices[0].finish_reason) finish.push(chunk.choices[0].finish_reason);
    for (const call of chunk.choices[0].delta.tool_calls ?? []) {
      calls[call.index] ??= [call.function.name, ""];
      calls[call.index][1] += call.function.arguments ?? "";
    }
  }
  return { calls: read(calls), finish };
}

async function withModel(client, model, parallel) {
  const create = (asked) => client.chat.completions.create({ model, ...asked });
  const { data: whole, response } = await create({ messages: say("Hello from the other side.") }).withResponse();
  const first = (await create({ messages: CITIES, tools: [WEATHER] })).choices[0];
  const results = first.message.tool_calls.map((call, n) => ({ role: "tool", tool_call_id: call.id, content: `${n} degrees` }));
  const after = (await create({ messages: [...CITIES, first.message, ...results], tools: [WEATHER] })).choices[0].message.content;
  const parsed = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "2 + 2" }],
    response_format: makeParseableResponseFormat(
      { type: "json_schema", json_schema: { name: "solution", strict: true, schema: SOLUTION } },
      JSON.parse,
    ),
  });
  const image = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: PIXEL } }];
  const seen = (await create({ messages: [{ role: "user", content: image }] })).choices[0].message.content;
  const many = await Promise.all(Array.from({ length: parallel }, (_, n) => create({ messages: say(`Answer ${n}.`) })));
  return {
    whole: {
      content: whole.choices[0].message.content,
      finish: whole.choices[0].finish_reason,
      model: whole.model,
      output_tokens: whole.usage.completion_tokens,
      call: whole._request_id.startsWith("call_"),
      attempts: response.headers.get("x-sgw-attempts"),
    },
    stream: await streamed(client, model),
    stream_with_usage: await streamed(client, model, { stream_options: { include_usage: true } }),
    tools: {
      calls: read(first.message.tool_calls.map((call) => [call.function.name, call.function.arguments])),
      finish: first.finish_reason,
    },
    streamed_tools: await streamedTools(client, model),
    after_tools: after.slice(0, after.indexOf("2 degrees") + 9),
    parsed: parsed.choices[0].message.parsed,
    image: seen.slice(0, seen.indexOf(").") + 2),
    parallel: many.filter((told, n) => told.choices[0].message.content === `Answer ${n}.`).length,
  };
}

/** Class, status, code, x-should-retry and number of requests of a call that must fail. */
async function failed(ask, options) {
  const [client, counter] = clientOf(options);
  try {
    await ask(client);
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    return [error.constructor.name, error.status, error.code, error.headers.get("x-should-retry"), counter.requests];
  }
  return "it did not fail";
}

async function refusals() {
  const chat = (model) => (client) => client.chat.completions.create({ model, messages: say("Never.") });
  const narrow = { key: task.narrow_key };
  return {
    "bad key": await failed(chat("sim-chat"), { key: "sk-something" }),
    "no such model": await failed(chat("no-such-model")),
    "not for this key": await failed(chat("sim-claude"), narrow),
    "not listed for this key": await failed((client) => client.models.retrieve("sim-claude"), narrow),
    "no such endpoint": await failed((client) => client.fineTuning.jobs.create({ model: "sim-chat", training_file: "file-1" })),
    "wrong kind of model": await failed(chat("sim-embed")),
  };
}

function fault({ model, messages, retries }) {
  return failed((client) => client.chat.completions.create({ model, messages }), retries === null ? {} : { maxRetries: retries });
}

async function cutShort({ model, directive }) {
  const [client, counter] = clientOf();
  const messages = [{ role: "user", content: `[[sim: ${directive} say="One two three four." pace=1]]` }];
  let text = "";
  try {
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
      for (const choice of chunk.choices) text += choice.delta.content ?? "";
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const partly = text !== "" && "One two three four.".startsWith(text) && text !== "One two three four.";
    return [error.constructor.name, error.code, partly, counter.requests];
  }
  return "it did not fail";
}

async function embeddings(client) {
  const asked = { model: "sim-embed", input: ["hello", "world"], dimensions: 4 };
  const floats = (await client.embeddings.create({ ...asked, encoding_format: "float" })).data.map((row) => row.embedding);
  const packed = (await client.embeddings.create({ ...asked, encoding_format: "base64" })).data[0].embedding;
  const plain = (await client.embeddings.create(asked)).data.map((row) => row.embedding);
  return { floats, packed, unpacked_by_the_sdk: JSON.stringify(plain) === JSON.stringify(floats) };
}

const named = async (list, play) =>
  Object.fromEntries(await Promise.all(list.map(async (one) => [one.name, await play(one)])));

const [client] = clientOf({ maxRetries: 0 });
const [narrow] = clientOf({ key: task.narrow_key, maxRetries: 0 });
const [direct] = clientOf({ path: "/sim-openai", maxRetries: 0 });
const longWay = await direct.chat.completions.create({ model: "sim-chat", messages: say("The long way.") }).withResponse();
const models = {};
for (const [model, parallel] of Object.entries(task.models)) models[model] = await withModel(client, model, parallel);
console.log(
  JSON.stringify({
    models,
    embeddings: await embeddings(client),
    catalogue: {
      listed: (await narrow.models.list()).data.map((model) => model.id),
      found: (await narrow.models.retrieve("sim-chat")).id,
    },
    refusals: await refusals(),
    provider_path: [longWay.data.choices[0].message.content, longWay.response.headers.get("x-sgw-deployment")],
    faults: await named(task.faults, fault),
    in_stream: await named(task.in_stream, cutShort),
  }),
);
