/** The real SDKs against simulated providers: what the daemon counts is what happened. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, type LanguageModel, streamText } from 'ai';
import { Reporter, reportingFetch } from 'brownout-reporter';
import OpenAI from 'openai';

import {
  counted, daemon, eventually, health, ledger, overloadedInStream, type Program, simulator, sum,
  windowOf,
} from './support.js';

const WEATHER =
  '{overloaded: 3%, unavailable: 2%, rate_limited: 2%, stream_overloaded: 1%, ' +
  'retry_after_ms: 20, latency_ms: 2, ttft_ms: 1}';
const CALLS_OF_A_KIND = 200;
const AT_ONCE = 50;
const PROMPT = 'ping';

type Fetch = typeof globalThis.fetch;
/** Makes call number `n` of a client, asking for a stream or for a whole answer. */
type Call = (n: number, stream: boolean) => Promise<unknown>;

interface Client {
  name: string;
  target: 'anthropic/claude-opus-4-7' | 'openai/gpt-5.5';
  make: (url: string, fetch: Fetch) => Call;
}

const CLIENTS: Client[] = [
  {
    name: '@anthropic-ai/sdk',
    target: 'anthropic/claude-opus-4-7',
    make: (url, fetch) => {
      const client = new Anthropic({ baseURL: `${url}/anthropic`, apiKey: 'any', fetch });
      const ask = {
        model: 'claude-opus-4-7',
        max_tokens: 16,
        messages: [{ role: 'user' as const, content: PROMPT }],
      };
      return async (n, stream) => {
        if (!stream) return client.messages.create(ask);
        if (n % 2 === 0) return drained(await client.messages.create({ ...ask, stream: true }));
        return client.messages.stream(ask).finalMessage();
      };
    },
  },
  {
    name: 'openai, chat completions',
    target: 'openai/gpt-5.5',
    make: (url, fetch) => {
      const client = new OpenAI({ baseURL: `${url}/openai/v1`, apiKey: 'any', fetch });
      const ask = {
        model: 'gpt-5.5',
        messages: [{ role: 'user' as const, content: PROMPT }],
      };
      return async (_, stream) =>
        stream
          ? drained(await client.chat.completions.create({ ...ask, stream }))
          : client.chat.completions.create(ask);
    },
  },
  {
    name: 'openai, responses',
    target: 'openai/gpt-5.5',
    make: (url, fetch) => {
      const client = new OpenAI({ baseURL: `${url}/openai/v1`, apiKey: 'any', fetch });
      const ask = { model: 'gpt-5.5', input: PROMPT };
      return async (_, stream) =>
        stream
          ? drained(await client.responses.create({ ...ask, stream }))
          : client.responses.create(ask);
    },
  },
  {
    name: 'ai with @ai-sdk/anthropic',
    target: 'anthropic/claude-opus-4-7',
    make: (url, fetch) => {
      const provider = createAnthropic({ baseURL: `${url}/anthropic/v1`, apiKey: 'any', fetch });
      return viaAiSdk(provider('claude-opus-4-7'));
    },
  },
  {
    name: 'ai with @ai-sdk/openai',
    target: 'openai/gpt-5.5',
    make: (url, fetch) => {
      const provider = createOpenAI({ baseURL: `${url}/openai/v1`, apiKey: 'any', fetch });
      const responses = viaAiSdk(provider('gpt-5.5'));
      const chat = viaAiSdk(provider.chat('gpt-5.5'));
      return (n, stream) => (n % 2 === 0 ? responses : chat)(n, stream);
    },
  },
];

function viaAiSdk(model: LanguageModel): Call {
  const ask = { model, prompt: PROMPT, maxOutputTokens: 16 };
  return async (_, stream) => {
    if (!stream) return generateText(ask);
    return drained(streamText({ ...ask, onError: () => {} }).fullStream);
  };
}

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const event of stream) void event;
}

/** Makes all calls, some at once; an error is the caller's to see and is counted elsewhere. */
async function callAll(call: Call): Promise<void> {
  // First one kind, then the other: the simulator keeps its shares exactly over any 200 requests,
  // so that there is overload in streams as well.
  for (const stream of [false, true]) {
    let next = 0;
    const worker = async () => {
      while (next < CALLS_OF_A_KIND) await call(next++, stream).catch(() => {});
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}

describe('the counts of the daemon are those of the ledger', () => {
  for (const { name, target, make } of CLIENTS) {
    describe(name, () => {
      let providers: Program;
      let brownout: Program;

      before(async () => {
        const [provider, model] = target.split('/');
        const models = `{${model}: ${WEATHER}}`;
        providers = await simulator(`exact: true\nproviders: {${provider}: ${models}}`);
        brownout = await daemon(
          `providers: {${provider}: {base_url: "${providers.url}", models: [${model}]}}`,
        );
      });
      after(async () => {
        await brownout?.stop();
        await providers?.stop();
      });

      test('by class and by attempt', async () => {
        const reporter = new Reporter({ url: brownout.url, flushIntervalMs: 50 });
        await callAll(make(providers.url, reportingFetch(undefined, { reporter })));
        assert.equal(await reporter.flush(), true);
        const truth = await ledger(providers.url);
        assert.ok(sum(truth) > 2 * CALLS_OF_A_KIND, 'there were retries');
        for (const ended of ['overloaded', 'unavailable', 'rate_limited']) {
          assert.ok((truth[`${target} first ${ended}`] ?? 0) > 0, `there was some ${ended}`);
        }
        assert.ok(await overloadedInStream(providers.url), 'there was overload in a 200');
        const counts = await eventually(
          () => counted(brownout.url),
          (seen) => sum(seen) >= sum(truth),
        );
        assert.deepEqual(counts, truth);
        assert.deepEqual(await health(brownout.url, target), windowOf(truth, target));
        assert.deepEqual(reporter.stats, {
          queued: 0, accepted: sum(truth), duplicate: 0, rejected: 0, dropped: 0,
        });
        await reporter.close();
      });
    });
  }
});
