/**
 * What the Node.js programs of this folder have in common; the twin of calls.py.
 *
 * Usage of a program: node PROGRAM SIMULATOR_URL BROWNOUT_URL
 */
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';

export const [SIMULATOR, BROWNOUT] = process.argv.slice(2);

const PROMPT = 'Weather?';
const ASK = { model: 'm', messages: [{ role: 'user', content: PROMPT }] };

/** Calls of each kind; see calls.py. */
const CALLS_OF_A_KIND = 100;

/** The libraries pause for a second or two before a retry, so many calls wait at once. */
const AT_ONCE = 50;

/** What the caller makes of an error: the name that the simulator's ledger has for it. */
function endedAs(error) {
  // The AI SDK wraps the last error of its retries, and streams give the provider's own object.
  const told = error.lastError ?? error;
  const text = `${told.message} ${told.responseBody ?? ''} ${JSON.stringify(told)}`.toLowerCase();
  if (text.includes('overloaded')) return 'overloaded';
  const status = told.status ?? told.statusCode;
  return { 429: 'rate_limited', 503: 'unavailable' }[status] ?? `unexpected: ${text}`;
}

/** Makes every call with the Anthropic SDK. */
export function askClaude(options = {}) {
  return ask((maxRetries) => {
    const client = new Anthropic({
      baseURL: `${SIMULATOR}/anthropic`, apiKey: 'any', maxRetries, ...options,
    });
    const call = (stream) => client.messages.create({ ...ASK, max_tokens: 64, stream });
    return [() => call(false), async () => drained(await call(true))];
  });
}

/** Makes every call with the OpenAI SDK, Chat Completions. */
export function askGpt(options = {}) {
  return ask((maxRetries) => {
    const client = new OpenAI({
      baseURL: `${SIMULATOR}/openai/v1`, apiKey: 'any', maxRetries, ...options,
    });
    const call = (stream) => client.chat.completions.create({ ...ASK, stream });
    return [() => call(false), async () => drained(await call(true))];
  });
}

/** Makes every call with the AI SDK and its provider for Anthropic. */
export function askWithAiSdk({ fetch, ...options } = {}) {
  const model = createAnthropic({ baseURL: `${SIMULATOR}/anthropic/v1`, apiKey: 'any', fetch })('m');
  return askModel(model, options);
}

/** Makes every call with the AI SDK and its provider for OpenAI, Responses API. */
export function askOpenAiWithAiSdk(options = {}) {
  const model = createOpenAI({ baseURL: `${SIMULATOR}/openai/v1`, apiKey: 'any' })('m');
  return askModel(model, options);
}

function askModel(model, options) {
  return ask((maxRetries) => {
    const settings = { model, prompt: PROMPT, maxOutputTokens: 64, maxRetries, ...options };
    const streamed = async () => {
      let failure;
      const onError = ({ error }) => { failure = error; };
      await drained(streamText({ ...settings, onError }).fullStream);
      if (failure) throw failure;
    };
    return [() => generateText(settings), streamed];
  });
}

async function ask(make) {
  const ended = {};
  for (const retries of [2, 0]) {
    for (const call of make(retries)) {
      let left = CALLS_OF_A_KIND;
      const worker = async () => {
        while (left-- > 0) {
          const end = await call().then(() => 'ok', endedAs);
          ended[end] = (ended[end] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
    }
  }
  console.log(JSON.stringify(ended));
}

async function drained(stream) {
  for await (const event of stream) void event;
}
