// Reads streams that say more than the SDKs for Node know: its task as JSON, prints what they met as JSON. Knows nothing of the product.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/package.json");
const { default: OpenAI } = require("openai");
const { default: Anthropic } = require("@anthropic-ai/sdk");
const { GoogleGenAI } = require("@google/genai");
const { streamText } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createOpenAI } = require("@ai-sdk/openai");

globalThis.AI_SDK_LOG_WARNINGS = false;

const { origin } = JSON.parse(readFileSync(0, "utf8"));
const apiKey = "k";
const model = "m";
const messages = [{ role: "user", content: "Hello" }];
const openai = new OpenAI({ apiKey, baseURL: `${origin}/v1` });

async function completed() {
  let text = "";
  for await (const each of await openai.completions.create({ model, prompt: "Hello", stream: true })) text += each.choices[0]?.text ?? "";
  return text;
}

async function generated() {
  const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: origin } });
  let text = "";
  let finish = null;
  for await (const each of await google.models.generateContentStream({ model, contents: "Hello" })) {
    text += each.text ?? "";
    finish = each.candidates?.[0]?.finishReason ?? finish;
  }
  return [text, finish];
}

async function streamed(face) {
  const errors = [];
  const stream = streamText({ model: face, prompt: "Hello", maxOutputTokens: 9, onError: ({ error }) => errors.push(String(error)) });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  return [text, await stream.finishReason, errors];
}

const chat = await openai.chat.completions.stream({ model, messages }).finalChatCompletion();
const response = await openai.responses.stream({ model, input: "Hello" }).finalResponse();
const message = await new Anthropic({ apiKey, baseURL: origin }).messages.stream({ model, max_tokens: 9, messages }).finalMessage();
const ai = createOpenAI({ apiKey, baseURL: `${origin}/v1` });
const met = {
  chat: chat.choices[0].message.content,
  completions: await completed(),
  responses: [response.output_text, response.sgw],
  messages: [message.content[0].text, message.stop_reason],
  gemini: await generated(),
  ai: {
    responses: await streamed(ai.responses(model)),
    chat: await streamed(ai.chat(model)),
    messages: await streamed(createAnthropic({ apiKey, baseURL: `${origin}/v1` })(model)),
    gemini: await streamed(createGoogleGenerativeAI({ apiKey, baseURL: `${origin}/v1beta` })(model)),
  },
};
console.log(JSON.stringify(met));
