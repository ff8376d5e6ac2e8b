/** The wrapper by itself: what it reports of each end, and that the caller notices nothing. */
import assert from 'node:assert/strict';
import type * as http from 'node:http';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import { Reporter, reportingFetch, type ReportingFetchOptions } from 'brownout-reporter';
import OpenAI from 'openai';

import { eventually, type Recorder, recorder, type Sent, serve, type Server } from './support.js';

type Fetch = typeof globalThis.fetch;

const MODEL = JSON.stringify({ messages: [{ model: 'not this' }], model: 'claude-opus-4-7' });
const ASK = {
  model: 'claude-opus-4-7',
  max_tokens: 16,
  messages: [{ role: 'user' as const, content: 'ping' }],
};
const START = 'event: message_start\ndata: {"type":"message_start","message":{"id":"m"}}\n\n';
const DELTA =
  'event: content_block_delta\n' +
  'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",' +
  '"text":"say \\"error\\": {} and \\"finish_reason\\": \\"stop\\""}}\n\n';
const STOP = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
const OVERLOADED =
  'event: error\n' +
  'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';

let daemon: Recorder;
let reporter: Reporter;

before(async () => {
  daemon = await recorder();
});
after(() => daemon.close());
beforeEach(() => {
  daemon.records.length = 0;
  reporter = new Reporter({ url: daemon.url });
});
afterEach(() => reporter.close());

function wrapped(fetch?: Fetch, options: ReportingFetchOptions = {}): Fetch {
  return reportingFetch(fetch, { reporter, ...options });
}

/** The records of what was done, once there are as many as there must be. */
async function reports(count: number): Promise<Sent[]> {
  await eventually(() => reporter.stats.queued, (queued) => queued >= count);
  assert.equal(await reporter.flush(), true);
  return daemon.records;
}

/** A `fetch` that answers with these chunks. */
function answering(chunks: (string | Uint8Array)[], init: ResponseInit): Fetch {
  return async () => {
    const bytes = chunks.map((chunk) => Buffer.from(chunk));
    const stream = new ReadableStream({
      pull(controller) {
        const next = bytes.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(new Uint8Array(next));
      },
    });
    return new Response(stream, init);
  };
}

const SSE = { headers: { 'content-type': 'text/event-stream; charset=utf-8' } };
const JSON_TYPE = { 'content-type': 'application/json' };

function post(fetch: Fetch, url = 'https://api.anthropic.com/v1/messages', init?: RequestInit) {
  return fetch(url, { method: 'POST', body: MODEL, headers: JSON_TYPE, ...init });
}

/** The fields that tell how an attempt ended. */
function end(record: Sent | undefined): Sent {
  const keys = ['status', 'error', 'class', 'phase', 'error_type', 'error_code', 'body', 'attempt'];
  return Object.fromEntries(Object.entries(record ?? {}).filter(([key]) => keys.includes(key)));
}

describe('an answer of a given form', () => {
  const chat = (delta: string, reason: string) =>
    `data: {"choices":[{"index":0,"delta":${delta},"finish_reason":${reason}}]}\n\n`;
  const cases: [name: string, body: string, init: ResponseInit, expected: Sent][] = [
    ['whole stream', START + DELTA + STOP, SSE, { status: 200 }],
    ['overload first', OVERLOADED, SSE,
      { status: 200, phase: 'stream', error_type: 'overloaded_error' }],
    ['overload in the middle', START + DELTA + OVERLOADED, SSE,
      { status: 200, phase: 'stream', error_type: 'overloaded_error' }],
    ['overload, without the last blank line', START + OVERLOADED.trimEnd(), SSE,
      { status: 200, phase: 'stream', error_type: 'overloaded_error' }],
    ['stream without its end', START + DELTA, SSE,
      { status: 200, phase: 'stream', error: 'eof_before_terminal' }],
    ['cut after the end', `${START}${DELTA}${STOP}data: {"ty`, SSE, { status: 200 }],
    ['whole chat stream', `${chat('{"content":"a"}', 'null')}data: [DONE]\n\n`, SSE,
      { status: 200 }],
    ['chat stream without [DONE]', chat('{"content":"a"}', 'null') + chat('{}', '"stop"'), SSE,
      { status: 200 }],
    ['chat stream without its end', chat('{"content":"a"}', 'null'), SSE,
      { status: 200, phase: 'stream', error: 'eof_before_terminal' }],
    ['chat stream with an error', `${chat('{"content":"a"}', 'null')}data: {"error":{"message":` +
      '"Overloaded","type":"server_error","code":"server_is_overloaded"}}\n\n', SSE,
      { status: 200, phase: 'stream', error_type: 'server_is_overloaded',
        error_code: 'server_error' }],
    ['whole response stream', 'event: response.created\ndata: {"type":"response.created"}\n\n' +
      'event: response.completed\ndata: {"type":"response.completed"}\n\n', SSE, { status: 200 }],
    ['failed response', 'event: response.failed\ndata: {"type":"response.failed","response":' +
      '{"status":"failed","error":{"code":"server_is_overloaded","message":"m"}}}\n\n', SSE,
      { status: 200, phase: 'stream', error_type: 'server_is_overloaded' }],
    ['stream of an unknown kind', 'data: {"token":"a"}\n\n', SSE, { status: 200 }],
    ['endless line', `${START}data: ${'x'.repeat(300_000)}\n\n${STOP}`, SSE, { status: 200 }],
    ['answer', '{"error":null,"content":[{"text":"{\\"error\\":{}}"}]}', { headers: JSON_TYPE },
      { status: 200 }],
    ['error with a good status', '{"error":{"type":"overloaded_error"}}', { headers: JSON_TYPE },
      { status: 200, error_type: 'overloaded_error' }],
    ['large answer', JSON.stringify({ text: 'x'.repeat(200_000) }), { headers: JSON_TYPE },
      { status: 200 }],
    ['login page', '<html><body>guest network</body></html>',
      { headers: { 'content-type': 'text/html' } }, { status: 200, body: '<!doctype html>' }],
    ['overload', '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
      { status: 529, headers: JSON_TYPE },
      { status: 529, error_type: 'overloaded_error' }],
    ['overload that only the sentence tells', '{"error":{"type":"server_error","code":null,' +
      '"message":"The engine is currently overloaded"}}', { status: 503, headers: JSON_TYPE },
      { status: 503, error_type: 'server_error', error_code: 'overloaded' }],
    ["proxy's page", '<html><h1>503</h1>', { status: 503 },
      { status: 503, body: '<!doctype html>' }],
    ["proxy's number", 'error code: 522\n', { status: 522 },
      { status: 522, body: 'error code: 522' }],
    ["proxy's sentence", 'upstream connect error', { status: 503 }, { status: 503 }],
    ['large error', 'x'.repeat(300_000), { status: 500 }, { status: 500 }],
  ];
  for (const [name, body, init, expected] of cases) {
    test(`${name}`, async () => {
      const bytes = Buffer.from(body);
      const shapes = [
        [bytes],
        // Wherever the network cuts it, and whatever ends its lines.
        ...(bytes.length < 2_000 ? [[...bytes].map((byte) => Buffer.from([byte]))] : []),
        [Buffer.from(init === SSE ? body.replaceAll('\n', '\r\n') : body)],
      ];
      for (const chunks of shapes) {
        const response = await post(wrapped(answering(chunks, init)));
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), Buffer.concat(chunks));
      }
      const seen = await reports(shapes.length);
      assert.deepEqual(seen.map(end), shapes.map(() => expected));
    });
  }
});

describe('an exchange that ends badly', () => {
  type Handler = http.RequestListener;
  const silent: Handler = () => {};
  const streaming =
    (text: string): Handler =>
    (_, response) => {
      response.writeHead(200, SSE.headers);
      response.write(text);
    };
  const cutting: Handler = (_, response) => {
    response.writeHead(200, SSE.headers);
    response.write(START, () => response.destroy());
  };
  const quota: Handler = (_, response) => {
    response.writeHead(429, { ...JSON_TYPE, 'retry-after': '0', 'retry-after-ms': '1' });
    const code = 'insufficient_quota';
    response.end(JSON.stringify({ error: { message: 'm', type: code, code } }));
  };
  type Case = [name: string, Handler, call: (url: string) => Promise<unknown>, expected: Sent[]];
  const cases: Case[] = [
    ['nobody listens', silent, async () => {
      const gone = await serve(silent);
      await gone.close();
      await post(wrapped(), gone.url);
    }, [{ error: 'connect_refused' }]],
    ['there is no such host', silent, () => post(wrapped(), 'https://nowhere.invalid/v1'),
      [{ error: 'dns' }]],
    ['cut before the answer', (request) => request.destroy(), (url) => post(wrapped(), url),
      [{ error: 'reset_before_headers' }]],
    ['cut in the stream', cutting, async (url) => (await post(wrapped(), url)).text(),
      [{ status: 200, phase: 'stream', error: 'reset_mid_stream' }]],
    ['the caller set a time-out', silent,
      (url) => post(wrapped(), url, { signal: AbortSignal.timeout(30) }), [{ error: 'timeout' }]],
    ['the time-out passes in the stream', streaming(START),
      async (url) => (await post(wrapped(), url, { signal: AbortSignal.timeout(200) })).text(),
      [{ status: 200, phase: 'stream', error: 'timeout' }]],
    ['the caller gives up', silent, (url) => {
      const controller = new AbortController();
      const answer = post(wrapped(), url, { signal: controller.signal });
      controller.abort();
      return answer;
    }, [{ error: 'canceled' }]],
    ['the caller hangs up on a stream', streaming(START + DELTA), async (url) => {
      const response = await post(wrapped(), url);
      for await (const chunk of response.body!) if (chunk) break;
    }, [{ status: 200, phase: 'stream', error: 'canceled' }]],
    ['the caller hangs up behind the end', streaming(START + DELTA + STOP), async (url) => {
      const response = await post(wrapped(), url);
      const reader = response.body!.getReader();
      for (let text = ''; !text.includes('message_stop"}\n'); ) {
        text += Buffer.from((await reader.read()).value!).toString();
      }
      await reader.cancel();
    }, [{ status: 200 }]],
    ['a fetch of the caller fails by itself', silent,
      () => post(wrapped(async () => Promise.reject(new Error('no credentials')))),
      [{ class: 'other' }]],
    ['the time-out of an SDK passes', silent, (url) => {
      const options = { baseURL: url, apiKey: 'any', timeout: 40, maxRetries: 1 };
      return new Anthropic({ ...options, fetch: wrapped() }).messages.create(ASK);
    }, [{ error: 'timeout', attempt: 1 }, { error: 'timeout', attempt: 2 }]],
    ['the caller of an SDK gives up', silent, async (url) => {
      const controller = new AbortController();
      const fetch: Fetch = async (...args) => {
        const answer = globalThis.fetch(...args);
        controller.abort();
        return answer;
      };
      const client = new OpenAI({ baseURL: url, apiKey: 'any', fetch: wrapped(fetch) });
      return client.chat.completions.create(ASK, { signal: controller.signal });
    }, [{ error: 'canceled', attempt: 1 }]],
    ['an SDK throws the error away that it retries', quota, (url) => {
      const client = new OpenAI({ baseURL: url, apiKey: 'any', maxRetries: 2, fetch: wrapped() });
      return client.chat.completions.create(ASK);
    }, [1, 2, 3].map((attempt) => ({
      status: 429, error_type: 'insufficient_quota', attempt,
    }))],
    ['an SDK hangs up on the error in a stream', streaming(START + OVERLOADED), async (url) => {
      const client = new Anthropic({ baseURL: url, apiKey: 'any', fetch: wrapped() });
      for await (const event of await client.messages.create({ ...ASK, stream: true })) void event;
    }, [{ status: 200, phase: 'stream', error_type: 'overloaded_error', attempt: 1 }]],
  ];
  for (const [name, handler, call, expected] of cases) {
    test(name, async () => {
      const server = await serve(handler);
      try {
        await call(server.url).catch((error: unknown) => assert.ok(error instanceof Error));
        assert.deepEqual((await reports(expected.length)).map(end), expected);
      } finally {
        await server.close();
      }
    });
  }
});

describe('what a request tells', () => {
  const form = new FormData();
  form.set('model', 'whisper-1');
  const host = 'https://llm.example:8443';
  const asks: [name: string, args: Parameters<Fetch>, model: string | undefined][] = [
    ['text', [`${host}/v1/messages`, { method: 'POST', body: MODEL }], 'claude-opus-4-7'],
    ['a URL object and bytes',
      [new URL(`${host}/v1`), { method: 'post', body: Buffer.from(MODEL) }], 'claude-opus-4-7'],
    ['a Request', [new Request(`${host}/v1`, { method: 'POST', body: MODEL, headers: JSON_TYPE })],
      'claude-opus-4-7'],
    ['a form', [`${host}/v1/audio/transcriptions`, { method: 'POST', body: form }], 'whisper-1'],
    ['an escaped name', [host, { method: 'POST', body: '{"a":"\\\\\\"","model":"a\\u002fb"}' }],
      'a/b'],
    ["Azure's path", [`${host}/openai/deployments/chat/chat/completions?api-version=1`,
      { method: 'POST', body: '{}' }], 'chat'],
    ["Bedrock's path", [`${host}/model/us.anthropic.claude-opus-4-7-v1%3A0/converse-stream`,
      { method: 'POST', body: '{}' }], 'us.anthropic.claude-opus-4-7-v1:0'],
    ["Gemini's path", [`${host}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse`,
      { method: 'POST', body: '{}' }], 'gemini-2.5-flash'],
    ["Vertex AI's path", [`${host}/v1/projects/p/locations/l/publishers/anthropic/models/` +
      'claude-opus-4-7:rawPredict', { method: 'POST', body: '{}' }], 'claude-opus-4-7'],
    ['no model', [`${host}/v1/files`, { method: 'POST', body: '{"messages":[{"model":"m"}]}' }],
      undefined],
    ['a model that is no text', [host, { method: 'POST', body: '{"model":["m"],"a":"b"}' }],
      undefined],
    ['cut JSON', [host, { method: 'POST', body: '{"a":"model' }], undefined],
    ['a list of models', [`${host}/v1/models/gpt-5.5`], undefined],
    ['a count of tokens', [`${host}/v1/messages/count_tokens`, { method: 'POST', body: MODEL }],
      undefined],
  ];
  for (const [name, args, model] of asks) {
    test(`model: ${name}`, async () => {
      let heard: unknown;
      const fetch: Fetch = async (input) => {
        heard = input instanceof Request ? await input.text() : MODEL;
        return Response.json({});
      };
      await (await wrapped(fetch)(...args)).text();
      // A second one after it, so that there is something to wait for.
      await (await post(wrapped(fetch))).text();
      assert.equal(heard, MODEL);
      const seen = (await reports(model === undefined ? 1 : 2)).filter(
        (record) => record['host'] === 'llm.example:8443',
      );
      assert.deepEqual(seen.map((record) => record['model']), model === undefined ? [] : [model]);
    });
  }

  test('all that is known of an attempt is in its record', async () => {
    const answer = answering(['{"error":{"type":"overloaded_error"}}'], {
      status: 529,
      headers: { ...JSON_TYPE, 'request-id': 'req_1', 'retry-after': '2.5' },
    });
    const headers = { 'x-stainless-retry-count': '1', 'idempotency-key': 'retry-1' };
    const options = { provider: 'our-gateway', region: 'eu', account: 'search' };
    await (await post(wrapped(answer, options), undefined, { headers })).text();
    const [record] = await reports(1);
    const { id, ts, ms, ...rest } = record!;
    assert.match(String(id), /^[0-9a-f-]{36}$/);
    assert.ok(Math.abs(Number(ts) - Date.now() / 1000) < 60);
    assert.ok(Number(ms) >= 0);
    assert.deepEqual(rest, {
      host: 'api.anthropic.com', model: 'claude-opus-4-7', status: 529, attempt: 2, op: 'retry-1',
      error_type: 'overloaded_error', request_id: 'req_1', retry_after: 2.5, ...options,
    });
  });

  test('a bad URL is the caller\'s own trouble', async () => {
    await assert.rejects(post(wrapped(), 'nonsense'), TypeError);
    assert.equal(reporter.stats.queued, 0);
  });
});

describe('the caller notices nothing', () => {
  let server: Server;
  before(async () => {
    server = await serve((request, response) => {
      const status = Number(new URL(request.url!, 'http://a').pathname.slice(1));
      if (status === 302) {
        response.writeHead(307, { location: '/200' }).end();
        return;
      }
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.writeHead(status, `Said ${status}`, JSON_TYPE);
      response.end(status === 204 ? undefined : '{"a":1}');
    });
  });
  after(() => server.close());

  for (const status of [200, 201, 204, 302, 400, 429, 503, 529]) {
    test(`of an answer ${status}`, async () => {
      const facts = async (fetch: Fetch) => {
        const response = await post(fetch, `${server.url}/${status}`);
        const { url, type, redirected, ok, statusText, bodyUsed } = response;
        const headers = [...response.headers].filter(([name]) => name !== 'date');
        const copy = response.clone();
        const bodies = response.body === null ? [] : [await copy.json(), await response.json()];
        const again = await response.text().catch((error: Error) => error.name);
        const ofCopy = [copy.url, copy.type, copy.redirected, copy.clone === response.clone];
        return {
          url, type, redirected, ok, statusText, bodyUsed, headers, bodies, again,
          status: response.status, isResponse: response instanceof Response,
          used: response.bodyUsed, ofCopy: ofCopy.slice(0, 3),
        };
      };
      assert.deepEqual(await facts(wrapped()), await facts(globalThis.fetch));
    });
  }

  test('of the pace: nothing is read ahead of it', async () => {
    let pulls = 0;
    let cancelled: unknown;
    const source = new ReadableStream(
      {
        pull(controller) {
          pulls += 1;
          controller.enqueue(new Uint8Array(1024));
        },
        cancel(reason) {
          cancelled = reason;
        },
      },
      { highWaterMark: 0 },
    );
    const response = await post(wrapped(async () => new Response(source, SSE)));
    const reader = response.body!.getReader();
    await reader.read();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pulls, 2);
    await reader.cancel('enough');
    assert.equal(cancelled, 'enough');
  });

  test('of an error whose body never ends', async () => {
    let pulls = 0;
    const source = new ReadableStream({
      pull(controller) {
        pulls += 1;
        controller.enqueue(new Uint8Array(16 * 1024).fill(0x78));
      },
    });
    const response = await post(wrapped(async () => new Response(source, { status: 500 })));
    // Reported although nobody reads it.
    assert.deepEqual((await reports(1)).map(end), [{ status: 500 }]);
    assert.ok(pulls < 10, `${pulls} pieces were read ahead`);
    await response.body!.cancel();
  });

  test('of the error that ends a body', async () => {
    const source = new ReadableStream({
      pull: (controller) => controller.error(new TypeError('terminated')),
    });
    const response = await post(wrapped(async () => new Response(source, SSE)));
    await assert.rejects(response.text(), { name: 'TypeError', message: 'terminated' });
    assert.equal(end((await reports(1))[0])['error'], 'reset_mid_stream');
  });

  test('of a response of another library', async () => {
    const foreign = { status: 503, headers: new Headers(), body: {}, ok: false };
    const fetch = wrapped(async () => foreign as unknown as Response);
    assert.equal(await post(fetch), foreign);
    assert.deepEqual((await reports(1)).map(end), [{ status: 503 }]);
  });
});

test('options in the place of fetch are refused', () => {
  const wrong = { reporter } as unknown as Fetch;
  assert.throws(() => reportingFetch(wrong), /first argument must be a fetch function/);
});
