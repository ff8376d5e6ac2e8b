/** Early reports: a stream counts at its first content, and its end corrects or completes that. */
import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { Reporter, reportingFetch } from 'brownout-reporter';
import OpenAI from 'openai';

import {
  counted, daemon, eventually, health, ledger, recorder, simulator, sum, windowOf,
} from './support.js';

type Fetch = typeof globalThis.fetch;

const START = 'event: message_start\ndata: {"type":"message_start","message":{"id":"m"}}\n\n';
const DELTA =
  'event: content_block_delta\n' +
  'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n';
const STOP = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
const OVERLOADED =
  'event: error\n' +
  'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';
const CLAUDE = 'anthropic/claude-opus-4-7';

/** A `fetch` that answers with these pieces, each when it is asked for. */
function answering(pieces: string[], whenAsked: (piece: string) => void = () => {}): Fetch {
  return async () => {
    const left = [...pieces];
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const next = left.shift();
      if (next === undefined) return controller.close();
      whenAsked(next);
      controller.enqueue(Buffer.from(next));
    };
    const body = new ReadableStream({ pull }, { highWaterMark: 0 });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
}

function post(fetch: Fetch): Promise<Response> {
  const body = JSON.stringify({ model: 'claude-opus-4-7', messages: [] });
  return fetch('https://api.anthropic.com/v1/messages', { method: 'POST', body });
}

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const event of stream) void event;
}

describe('the records of a stream', () => {
  const admitted = { status: 200, phase: 'admitted' };
  const failed = { status: 200, phase: 'stream', error_type: 'overloaded_error' };
  const cases: [name: string, pieces: string[], openMs: number, expected: object[]][] = [
    ['that ends', [START, DELTA, STOP], 0, [admitted, { status: 200 }]],
    ['that fails later', [START, DELTA, OVERLOADED], 0, [admitted, failed]],
    ['that fails at once', [OVERLOADED], 0, [failed]],
    // What the daemon may have forgotten would count again.
    ['that ends after a long time', [START, DELTA, STOP], 900_000, [admitted]],
    ['that fails after a long time', [START, DELTA, OVERLOADED], 900_000, [admitted, failed]],
  ];
  for (const [name, pieces, openMs, expected] of cases) {
    test(name, async () => {
      const door = await recorder();
      const reporter = new Reporter({ url: door.url });
      let later = 0;
      const now = performance.now.bind(performance);
      const clock = mock.method(performance, 'now', () => now() + later);
      const onLast = (piece: string) => {
        if (piece === pieces.at(-1)) later = openMs;
      };
      try {
        const answer = answering(pieces, onLast);
        await (await post(reportingFetch(answer, { reporter, early: true }))).text();
        assert.equal(await reporter.flush(), true);
        const keys = ['status', 'phase', 'error', 'error_type', 'final'];
        const told = door.records.map((record) =>
          Object.fromEntries(Object.entries(record).filter(([key]) => keys.includes(key))));
        assert.deepEqual(told, expected);
        for (const record of door.records) {
          assert.equal('ms' in record, record['phase'] !== 'admitted');
        }
        assert.equal(new Set(door.records.map((record) => record['op'])).size, 1);
        assert.equal(new Set(door.records.map((record) => record['id'])).size, expected.length);
        assert.match(String(door.records[0]!['op']), /^[0-9a-f-]{36}$/);
      } finally {
        clock.mock.restore();
        await reporter.close();
        await door.close();
      }
    });
  }
});

describe('a stream is ok while it runs, and afterwards what it was', () => {
  const cases: [name: string, end: string, ok: number, overloaded: number][] = [
    ['it ends', STOP, 1, 0],
    ['it fails', OVERLOADED, 0, 1],
  ];
  for (const [name, end, ok, overloaded] of cases) {
    test(name, async () => {
      const brownout = await daemon('providers: {anthropic: {models: [claude-opus-4-7]}}');
      const reporter = new Reporter({ url: brownout.url, flushIntervalMs: 50 });
      const window = async () => {
        const { attempts, ok, overloaded } = await health(brownout.url, CLAUDE);
        return { attempts, ok, overloaded };
      };
      const until = async (expected: Awaited<ReturnType<typeof window>>) => {
        const isIt = (seen: typeof expected) => JSON.stringify(seen) === JSON.stringify(expected);
        assert.deepEqual(await eventually(window, isIt), expected);
      };
      const timed = async () => {
        const text = await (await fetch(`${brownout.url}/metrics`)).text();
        const sample = /^brownout_request_duration_seconds_count\{.*\} (\d+)$/gm;
        return [...text.matchAll(sample)].reduce((total, [, count]) => total + Number(count), 0);
      };
      try {
        const watched = reportingFetch(answering([START, DELTA, end]), { reporter, early: true });
        const reader = (await post(watched)).body!.getReader();
        await reader.read();
        await reader.read();
        await until({ attempts: 1, ok: 1, overloaded: 0 });
        assert.equal(await timed(), 0);
        while (!(await reader.read()).done);
        assert.equal(await reporter.flush(), true);
        assert.equal(reporter.stats.accepted, 2);
        await until({ attempts: 1, ok, overloaded });
        assert.equal(await eventually(timed, (count) => count === ok), ok);
      } finally {
        await reporter.close();
        await brownout.stop();
      }
    });
  }
});

test('the counts of the daemon are those of the ledger', async () => {
  const weather =
    '{overloaded: 3%, unavailable: 2%, rate_limited: 2%, stream_overloaded: 10%, ' +
    'retry_after_ms: 20, latency_ms: 20, ttft_ms: 1}';
  const targets = [CLAUDE, 'openai/gpt-5.5'];
  const providers = await simulator(
    `exact: true\nproviders: {anthropic: {claude-opus-4-7: ${weather}}, ` +
      `openai: {gpt-5.5: ${weather}}}`,
  );
  // One simulator plays both, so its host is no sign of either.
  const brownout = await daemon(
    'providers: {anthropic: {models: [claude-opus-4-7]}, openai: {models: [gpt-5.5]}}',
  );
  const reporter = new Reporter({ url: brownout.url, flushIntervalMs: 50 });
  const fetchOf = (provider: string) =>
    reportingFetch(undefined, { reporter, provider, early: true });
  try {
    const anthropic = new Anthropic({
      baseURL: `${providers.url}/anthropic`, apiKey: 'any', fetch: fetchOf('anthropic'),
    });
    const openai = new OpenAI({
      baseURL: `${providers.url}/openai/v1`, apiKey: 'any', fetch: fetchOf('openai'),
    });
    const messages = [{ role: 'user' as const, content: 'ping' }];
    const call = async (n: number) => {
      const ask = { model: 'claude-opus-4-7', max_tokens: 16, messages };
      await anthropic.messages.stream(ask).finalMessage().catch(() => {});
      const chat = { model: 'gpt-5.5', messages };
      if (n % 2 === 0) await openai.chat.completions.create(chat).catch(() => {});
      const stream = { ...chat, stream: true as const };
      await openai.chat.completions.create(stream).then(drained).catch(() => {});
    };
    await Promise.all(Array.from({ length: 200 }, (_, n) => call(n)));
    assert.equal(await reporter.flush(), true);
    const truth = await ledger(providers.url);
    const counts = await eventually(
      () => counted(brownout.url),
      (seen) => JSON.stringify(Object.entries(seen).sort()) ===
        JSON.stringify(Object.entries(truth).sort()),
    );
    assert.deepEqual(counts, truth);
    for (const target of targets) {
      assert.deepEqual(await health(brownout.url, target), windowOf(truth, target));
      assert.ok((truth[`${target} first overloaded`] ?? 0) > 0);
    }
    const { accepted, rejected, dropped, duplicate } = reporter.stats;
    assert.deepEqual({ rejected, dropped, duplicate }, { rejected: 0, dropped: 0, duplicate: 0 });
    assert.ok(accepted > sum(truth), 'streams were told of twice');
  } finally {
    await reporter.close();
    await brownout.stop();
    await providers.stop();
  }
});
