// Plays the essentials through @google/genai: reads its task as JSON, prints what it met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const { GoogleGenAI } = require("@google/genai");

const task = JSON.parse(readFileSync(0, "utf8"));
const clientOf = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: task.origin } });
const google = clientOf(task.key);
const WEATHER = {
  name: "get_weather",
  description: "Weather of a city",
  parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

async function played(model) {
  const told = await google.models.generateContent({ model, contents: 'Hello [[sim: say="One two three."]]' });
  let streamed = "";
  let last = null;
  for await (const chunk of await google.models.generateContentStream({ model, contents: 'Hello [[sim: say="One two three."]]' })) {
    streamed += chunk.text ?? "";
    last = chunk;
  }
  const chat = google.chats.create({ model, config: { tools: [{ functionDeclarations: [WEATHER] }] } });
  const called = await chat.sendMessage({ message: "What is the weather in Paris and Rome?" });
  const answers = called.functionCalls.map(({ id, name, args }) => ({
    functionResponse: { id, name, response: { output: `rain in ${args.city}` } },
  }));
  const after = await chat.sendMessage({ message: answers });
  const counted = await google.models.countTokens({ model, contents: "Count these few words for me, please." });
  return {
    text: told.text,
    finish: told.candidates[0].finishReason,
    output: told.usageMetadata.candidatesTokenCount,
    streamed,
    streamed_output: last.usageMetadata.candidatesTokenCount,
    calls: called.functionCalls.map(({ name, args }) => [name, args]),
    uses_results: after.text.includes("rain in Paris | rain in Rome"),
    counts: counted.totalTokens > 4 && counted.totalTokens < 40,
  };
}

async function refused(client, model) {
  try {
    await client.models.generateContent({ model, contents: "x" });
  } catch (error) {
    return [error.name, error.status, JSON.parse(error.message).error.status];
  }
  return [];
}

const met = { models: {} };
for (const model of task.models) met.models[model] = await played(model);
met.refusals = [await refused(clientOf("sgw_vk_nothing"), task.models[0]), await refused(google, "nothing")];
console.log(JSON.stringify(met));
