/** What callers and models say to each other, and their keys, never leave by this way. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText } from 'ai';
import { Reporter, reportingFetch } from 'brownout-reporter';
import OpenAI from 'openai';

import { bodyOf, type Recorder, recorder, serve, type Server } from './support.js';

const MARK = 'xyzzy-4711';
const TEXT = `the ${MARK} prompt, overloaded with ${MARK}`;

let daemon: Recorder;
let provider: Server;
let asked = 0;

before(async () => {
  daemon = await recorder();
  // A provider that quotes the prompt wherever it can, in turns as an answer, a stream, an error
  // and an error in a stream.
  provider = await serve(async (request, response) => {
    assert.match((await bodyOf(request)).toString(), new RegExp(MARK));
    const error = {
      type: 'error',
      [MARK]: MARK,
      error: {
        type: 'api_error', message: TEXT, code: TEXT, param: MARK, details: { reason: TEXT },
      },
    };
    const events = [
      { type: 'message_start', message: { id: 'm', role: 'assistant', content: [] } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: TEXT } },
    ];
    const sse = (list: { type: string }[]) =>
      list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
    const json = { 'content-type': 'application/json', 'request-id': `${MARK} is no id` };
    const stream = { 'content-type': 'text/event-stream' };
    const replies: [number, Record<string, string>, string][] = [
      [200, json, JSON.stringify({ content: [{ type: 'text', text: TEXT }], error: null })],
      [200, stream, sse([...events, { type: 'message_stop' }])],
      [500, json, JSON.stringify(error)],
      [200, stream, sse([...events, error])],
      [200, json, JSON.stringify(error)],
      [503, { 'content-type': 'text/html' }, `<html><body>${TEXT}`],
      [503, { 'content-type': 'text/plain' }, TEXT],
      [400, json, JSON.stringify({ error: TEXT })],
      [200, stream, sse(events)],
    ];
    const [status, headers, body] = replies[asked++ % replies.length]!;
    response.writeHead(status, headers).end(body);
  });
});
after(async () => {
  await provider.close();
  await daemon.close();
});

test('no prompt, no answer and no key is sent', async () => {
  const trouble: string[] = [];
  const onTrouble = (message: string) => void trouble.push(message);
  const reporter = new Reporter({ url: daemon.url, onTrouble });
  const fetch = reportingFetch(undefined, { reporter });
  const options = { apiKey: `key-${MARK}`, fetch, maxRetries: 0 };
  const baseURL = provider.url;
  const anthropic = new Anthropic({ ...options, baseURL });
  const openai = new OpenAI({ ...options, baseURL });
  const model = createAnthropic({ ...options, baseURL })('claude-opus-4-7');
  const messages = [{ role: 'user' as const, content: TEXT }];
  const ask = { model: 'claude-opus-4-7', max_tokens: 16, messages, metadata: { user_id: MARK } };
  const calls: (() => Promise<unknown>)[] = [
    () => anthropic.messages.create(ask),
    () => anthropic.messages.stream({ ...ask, system: TEXT }).finalMessage(),
    () => openai.chat.completions.create({ model: 'gpt-5.5', messages, user: MARK }),
    () => generateText({ model, prompt: TEXT, maxRetries: 0 }),
    async () =>
      streamText({ model, prompt: TEXT, maxRetries: 0, onError: () => {} }).consumeStream(),
    // Keys and names also travel in URLs.
    async () => {
      const url = `${baseURL}/v1/${MARK}/models?key=${MARK}#${MARK}`;
      const body = JSON.stringify({ prompt: TEXT, model: 'gemini-2.5-flash' });
      await (await fetch(url, { method: 'POST', body })).text();
    },
  ];
  // Every call meets every reply.
  const count = 9 * calls.length;
  for (let n = 0; n < 9; n += 1) {
    for (const call of calls) await call().catch(() => {});
    asked += 1;
  }
  await reporter.close();
  assert.equal(daemon.records.length, count);
  assert.ok(daemon.records.some((record) => record['error_code'] === 'overloaded'));
  assert.ok(daemon.records.some((record) => record['body'] === '<!doctype html>'));
  assert.doesNotMatch(daemon.heard.join('\n'), new RegExp(MARK));
  assert.doesNotMatch(daemon.heard.join('\n'), /prompt/);
  assert.deepEqual(trouble, []);
});
