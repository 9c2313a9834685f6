// Plays the essentials through the AI SDK (npm `ai`) and its three providers: reads its task as JSON, prints what it met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const { APICallError, Output, embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createOpenAI } = require("@ai-sdk/openai");

// warnings about settings a provider's package does not know are no part of the answer
globalThis.AI_SDK_LOG_WARNINGS = false;

const task = JSON.parse(readFileSync(0, "utf8"));
const CITIES = "What is the weather in Paris, London and Rome?";
const object = (properties) => jsonSchema({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const SHAPE = object({ city: { type: "string" }, degrees: { type: "integer" } });
const tools = () => ({
  get_weather: tool({
    description: "Weather of a city",
    inputSchema: object({ city: { type: "string" } }),
    execute: async ({ city }) => `rain in ${city}`,
  }),
});
const say = (text) => `Hello [[sim: say="${text}"]]`;

const providersOf = (apiKey) => ({
  openai: createOpenAI({ baseURL: `${task.origin}/v1`, apiKey }),
  anthropic: createAnthropic({ baseURL: `${task.origin}/v1`, apiKey }),
  google: createGoogleGenerativeAI({ baseURL: `${task.origin}/v1beta`, apiKey }),
});
const { openai, anthropic, google } = providersOf(task.key);
const FACES = {
  responses: (model) => openai.responses(model),
  chat: (model) => openai.chat(model),
  messages: (model) => anthropic(model),
  gemini: (model) => google(model),
};
// how each face asks a model to think, and to show it
const THINKS = {
  responses: { openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true } },
  chat: { openai: { reasoningEffort: "low", forceReasoning: true } },
  messages: { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } },
  gemini: { google: { thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } } },
};

async function whole(model) {
  const told = await generateText({ model, prompt: say("Hello from the other side."), system: "Be kind.", maxOutputTokens: 100 });
  return [told.text, told.finishReason, told.usage.outputTokens, told.usage.inputTokens > 0];
}

async function streamed(model) {
  const stream = streamText({ model, prompt: say("One two three."), maxOutputTokens: 100 });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  return [text, await stream.finishReason, (await stream.usage).outputTokens];
}

const stepsOf = (steps) => steps.map((step) => step.toolCalls.map((call) => call.input.city));
// Google's provider wraps a result in an object of its own
const used = (text) => /rain in Paris.* \| .*rain in London.* \| .*rain in Rome/.test(text);

async function loops(model) {
  const told = await generateText({ model, tools: tools(), stopWhen: stepCountIs(3), prompt: CITIES });
  const stream = streamText({ model, tools: tools(), stopWhen: stepCountIs(3), prompt: CITIES });
  await stream.consumeStream();
  return {
    steps: stepsOf(told.steps),
    uses_results: used(told.text),
    streamed_steps: stepsOf(await stream.steps),
    streamed_uses_results: used(await stream.text),
  };
}

async function objects(model) {
  const made = await generateObject({ model, schema: SHAPE, prompt: "A city?" });
  const told = await generateText({ model, output: Output.object({ schema: SHAPE }), prompt: "A city?" });
  const stream = streamObject({ model, schema: SHAPE, prompt: "A city?" });
  for await (const _ of stream.partialObjectStream);
  return [made.object, told.output, await stream.object];
}

async function thinks(face, model) {
  const asked = { model: FACES[face](model), providerOptions: THINKS[face] };
  const question = [{ role: "user", content: "Think. [[sim: reasoning_content]]" }];
  const told = await generateText({ ...asked, messages: question });
  const after = await generateText({ ...asked, messages: [...question, ...told.response.messages, { role: "user", content: "And then?" }] });
  return [told.reasoningText?.length > 0, after.finishReason];
}

async function failed(ask) {
  try {
    await ask();
  } catch (error) {
    if (!APICallError.isInstance(error)) throw error;
    return [error.statusCode, error.isRetryable];
  }
  return "it did not fail";
}

async function broken(model) {
  const errors = [];
  const prompt = '[[sim: in_stream_error say="One two three four five six seven eight."]]';
  await streamText({ model, prompt, maxRetries: 0, onError: ({ error }) => errors.push(error) }).consumeStream();
  return errors.length > 0;
}

async function embedded(model) {
  const { embeddings, usage } = await embedMany({ model, values: ["a cat", "a dog"] });
  return [embeddings.map((one) => one.length > 0), usage.tokens > 0 || Number.isNaN(usage.tokens)];
}

async function faceOf(face) {
  const met = {};
  for (const [wire, name] of Object.entries(task.models)) {
    const model = FACES[face](name);
    met[wire] = { whole: await whole(model), streamed: await streamed(model), loops: await loops(model), objects: await objects(model) };
  }
  const strangers = providersOf("sgw_vk_nothing");
  const stranger = { responses: strangers.openai.responses, chat: strangers.openai.chat, messages: strangers.anthropic, gemini: strangers.google }[face];
  return {
    models: met,
    thinks: Object.fromEntries(await Promise.all(Object.entries(task.thinkers).map(async ([wire, name]) => [wire, await thinks(face, name)]))),
    refusals: [
      await failed(() => generateText({ model: stranger(task.models.chat), prompt: "x", maxRetries: 0 })),
      await failed(() => generateText({ model: FACES[face]("nothing"), prompt: "x", maxRetries: 0 })),
    ],
    broken: await broken(FACES[face](task.models.chat)),
  };
}

const faces = {};
for (const face of Object.keys(FACES)) faces[face] = await faceOf(face);
const embeddings = {
  openai: await embedded(openai.embedding("sim-embed")),
  google: await embedded(google.embedding("sim-gemini-embed")),
  openai_at_google: await embedded(openai.embedding("sim-gemini-embed")),
};
console.log(JSON.stringify({ faces, embeddings }));
