/** The way to the daemon: nothing lost, nothing twice, nothing in the caller's way. */
import assert from 'node:assert/strict';
import * as http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { type Outcome, Reporter } from 'brownout-reporter';

import {
  bodyOf, counted, daemon, eventually, type Program, recorder, run, serve, sum,
} from './support.js';

const OUTCOME: Outcome = { provider: 'anthropic', model: 'claude-opus-4-7', status: 200 };
const RECEIPT = JSON.stringify({ accepted: 1, duplicate: 0, rejected: [] });

/** The delays that timers are set to. */
function recordedWaits(): { asked: unknown[]; restore: () => void } {
  const original = globalThis.setTimeout;
  const asked: unknown[] = [];
  const recording = (work: () => void, delay?: number) => {
    asked.push(delay);
    return original(work, delay);
  };
  globalThis.setTimeout = recording as typeof original;
  return { asked, restore: () => void (globalThis.setTimeout = original) };
}

describe('an answer of the daemon', () => {
  type Reply = (response: http.ServerResponse) => void;
  const status =
    (code: number, headers: http.OutgoingHttpHeaders = {}, body = '{}'): Reply =>
    (response) =>
      void response.writeHead(code, headers).end(body);
  const again: [name: string, reply: Reply][] = [
    ['408', status(408)],
    ['429 with a wait', status(429, { 'retry-after': '1' })],
    ['502', status(502)],
    ['503', status(503)],
    ['503 with a date', status(503, { 'retry-after': new Date().toUTCString() })],
    ['504', status(504)],
    ['a cut connection', (response) => response.destroy()],
    ['a receipt that breaks off', (response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"acc', () => response.destroy());
    }],
    ['no answer in time', () => {}],
  ];
  for (const [name, reply] of again) {
    test(`${name}: the same batch comes again`, async () => {
      const heard: { key: unknown; body: string }[] = [];
      const waits = recordedWaits();
      const server = await serve(async (request, response) => {
        const body = gunzipSync(await bodyOf(request)).toString();
        heard.push({ key: request.headers['idempotency-key'], body });
        if (heard.length === 1) reply(response);
        else status(200, {}, RECEIPT)(response);
      });
      const options = { url: server.url, flushIntervalMs: 1, requestTimeoutMs: 200 };
      const reporter = new Reporter(options);
      try {
        reporter.report(OUTCOME);
        await eventually(() => reporter.stats.accepted, (accepted) => accepted === 1);
        assert.deepEqual(reporter.stats, {
          queued: 0, accepted: 1, duplicate: 0, rejected: 0, dropped: 0,
        });
        assert.equal(heard.length, 2);
        assert.match(String(heard[0]!.key), /^[0-9a-f-]{36}$/);
        assert.deepEqual(
          [heard[1]!.key, heard[1]!.body],
          [heard[0]!.key, heard[0]!.body],
        );
        if (name.includes('wait')) assert.ok(waits.asked.includes(1_000), 'it waits as told');
      } finally {
        waits.restore();
        await reporter.close();
        await server.close();
      }
    });
  }

  const refused: [code: number, body: string, told: RegExp][] = [
    [400, '{"accepted":0,"duplicate":0,"rejected":[{"index":0,"error":"ts: too old"}]}',
      /ts: too old/],
    [400, '{"error":{"code":"empty"}}', /HTTP 400/],
    [401, '{}', /HTTP 401, set BROWNOUT_TOKEN to one of ingest\.tokens/],
    [404, '', /HTTP 404, is BROWNOUT_URL that of a brownout daemon/],
    [413, '{}', /HTTP 413, raise ingest\.max_body or lower batchRecordsMax/],
    [200, '<html>', /no receipt/],
  ];
  for (const [code, body, told] of refused) {
    test(`${code} ${body}: it is told once and not sent again`, async () => {
      let requests = 0;
      const server = await serve((_, response) => {
        requests += 1;
        status(code, {}, body)(response);
      });
      const trouble: string[] = [];
      const onTrouble = (message: string) => void trouble.push(message);
      const reporter = new Reporter({ url: server.url, onTrouble });
      try {
        for (let n = 0; n < 2; n += 1) {
          reporter.report(OUTCOME);
          assert.equal(await reporter.flush(), true);
        }
        assert.equal(requests, 2);
        assert.equal(reporter.stats.rejected, 2);
        assert.equal(trouble.length, 1);
        assert.match(trouble[0]!, told);
      } finally {
        await reporter.close();
        await server.close();
      }
    });
  }
});

describe('a real daemon', () => {
  let brownout: Program;
  before(async () => {
    process.env['TEST_REPORTER_TOKEN'] = 'a-token-of-team-a';
    brownout = await daemon('ingest: {tokens: [{name: team-a, env: TEST_REPORTER_TOKEN}]}');
  });
  after(() => brownout.stop());

  test('that is away and cuts connections loses nothing and counts nothing twice', async () => {
    // Nobody is there at first, which is most outages.
    const gone = await serve(() => {});
    await gone.close();
    const trouble: string[] = [];
    const reporter = new Reporter({
      url: gone.url,
      token: 'a-token-of-team-a',
      flushIntervalMs: 1,
      batchRecordsMax: 100,
      onTrouble: (message) => void trouble.push(message),
    });
    try {
      for (let n = 0; n < 1_000; n += 1) {
        reporter.report({ ...OUTCOME, status: n % 10 === 0 ? 529 : 200, attempt: 1 });
      }
      await eventually(() => trouble.length, (length) => length > 0);
      assert.match(trouble[0]!, /does not take reports \(ECONNREFUSED\); trying on/);
      assert.equal(reporter.stats.accepted, 0);
      // Then it refuses, answers badly, and takes batches whose answers are lost on the way.
      const troubles = ['refuse', 'lose the answer', '503', 'lose the answer', '429', 'refuse'];
      let passed = 0;
      const back = await serve(async (request, response) => {
        const body = await bodyOf(request);
        const step = troubles.shift();
        if (step === 'refuse') return void request.socket.destroy();
        if (step !== undefined && /^\d+$/.test(step)) {
          return void response.writeHead(Number(step)).end();
        }
        const { host: _, ...headers } = request.headers;
        const [code, text] = await forward(`${brownout.url}${request.url}`, headers, body);
        passed += 1;
        if (step === 'lose the answer') return void response.destroy();
        response.writeHead(code).end(text);
      }, gone.port);
      const isDone = await reporter.flush(20_000);
      await back.close();
      assert.deepEqual([isDone, troubles], [true, []], trouble.join('; '));
      assert.equal(passed, 12, '10 batches, the first of them three times');
      const { accepted, duplicate, rejected, dropped } = reporter.stats;
      assert.deepEqual(
        { total: accepted + duplicate, duplicate, rejected, dropped },
        { total: 1_000, duplicate: 100, rejected: 0, dropped: 0 },
      );
      const counts = await eventually(
        () => counted(brownout.url),
        (seen) => sum(seen) >= 1_000,
      );
      assert.deepEqual(counts, {
        'anthropic/claude-opus-4-7 first ok': 900,
        'anthropic/claude-opus-4-7 first overloaded': 100,
      });
    } finally {
      await reporter.close();
    }
  });

  test('that wants a token says so', async () => {
    const trouble: string[] = [];
    const onTrouble = (message: string) => void trouble.push(message);
    const reporter = new Reporter({ url: brownout.url, token: 'wrong', onTrouble });
    reporter.report(OUTCOME);
    await reporter.close();
    assert.equal(reporter.stats.rejected, 1);
    assert.match(trouble.join(), /HTTP 401, set BROWNOUT_TOKEN to one of ingest\.tokens/);
  });
});

/** A request as it came, to somebody else. */
function forward(
  url: string,
  headers: http.OutgoingHttpHeaders,
  body: Buffer,
): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      resolve([response.statusCode ?? 0, text]);
    });
    request.once('error', reject);
    request.end(body);
  });
}

describe('memory', () => {
  test('is bounded while the daemon is away, and the newest records are kept', async () => {
    const gone = await serve(() => {});
    await gone.close();
    const trouble: string[] = [];
    const reporter = new Reporter({
      url: gone.url,
      queueRecordsMax: 1_000,
      batchRecordsMax: 100,
      onTrouble: (message) => void trouble.push(message),
    });
    let queuedMost = 0;
    for (let n = 0; n < 100_000; n += 1) {
      reporter.report({ ...OUTCOME, request_id: `req_${n}` });
      queuedMost = Math.max(queuedMost, reporter.stats.queued);
      if (n % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(queuedMost <= 1_100, `${queuedMost} records waited`);
    const { queued, dropped } = reporter.stats;
    assert.equal(queued + dropped, 100_000);
    assert.match(trouble.join('\n'), /more than 1000 records wait, the oldest are dropped/);
    const back = await recorder(gone.port);
    assert.equal(await reporter.flush(20_000), true);
    assert.equal(back.records.length, queued);
    assert.equal(back.records.at(-1)!['request_id'], 'req_99999');
    assert.equal(new Set(back.records.map((record) => record['id'])).size, queued);
    assert.ok(back.keys.length >= queued / 100);
    await reporter.close();
    await back.close();
  });

  test('of one record is bounded, and what is no outcome is dropped', async () => {
    const back = await recorder();
    const trouble: string[] = [];
    const onTrouble = (message: string) => void trouble.push(message);
    const reporter = new Reporter({ url: back.url, service: 'x'.repeat(100), onTrouble });
    const long = 'é'.repeat(10_000);
    reporter.report({
      ...OUTCOME, model: long, account: long, error_type: long, request_id: 'two words',
      attempt: 1.5, ms: 2.4, n: 0, prompt: 'secret', body: 'secret',
    } as unknown as Outcome);
    const hostile = { get model(): string { throw new Error('no'); } };
    const noModel = { model: 'm' };
    const noResult = { ...OUTCOME, status: 7 };
    for (const wrong of [undefined, null, 7, {}, noModel, noResult, hostile]) {
      reporter.report(wrong as unknown as Outcome);
    }
    await reporter.close();
    reporter.report(OUTCOME);
    const { id, ts, ...record } = back.records[0]!;
    assert.deepEqual(record, {
      provider: 'anthropic', model: 'é'.repeat(64), status: 200, account: 'é'.repeat(64), ms: 2,
      service: 'x'.repeat(64),
    });
    assert.equal(back.records.length, 1);
    assert.equal(reporter.stats.dropped, 8);
    assert.match(trouble.join(), /needs model, provider or host, and status, error or class/);
    await back.close();
  });
});

describe('a process', () => {
  const CALL =
    "import { reportingFetch, defaultReporter } from 'brownout-reporter';\n" +
    "const fetch = reportingFetch(async () => Response.json({}));\n" +
    "const init = { method: 'POST', body: JSON.stringify({ model: 'claude-opus-4-7' }) };\n" +
    "await (await fetch('https://api.anthropic.com/v1/messages', init)).text();\n";

  test('ends by itself, and what waits is sent before', async () => {
    const back = await recorder();
    const env = {
      BROWNOUT_URL: `${back.url}/behind/a/proxy/`,
      BROWNOUT_TOKEN: 'a-token',
      BROWNOUT_SERVICE: 'nightly',
    };
    assert.deepEqual(await run(CALL, env), [0, '']);
    assert.equal(back.records.length, 1);
    assert.equal(back.records[0]!['service'], 'nightly');
    assert.equal(back.records[0]!['host'], 'api.anthropic.com');
    assert.match(back.heard[0]!, /^\/behind\/a\/proxy\/v1\/outcomes /);
    assert.match(back.heard[0]!, /"authorization":"Bearer a-token"/);
    await back.close();
  });

  test('ends by itself when it uses require', async () => {
    const back = await recorder();
    const script =
      "import { createRequire } from 'node:module';\n" +
      "const { Reporter } = createRequire(process.cwd() + '/')('brownout-reporter');\n" +
      `new Reporter().report(${JSON.stringify(OUTCOME)});`;
    assert.deepEqual(await run(script, { BROWNOUT_URL: back.url }), [0, '']);
    assert.equal(back.records.length, 1);
    await back.close();
  });

  test('ends by itself when the daemon is gone, hangs, or was named wrongly', async () => {
    const gone = await serve(() => {});
    await gone.close();
    const hanging = await serve(() => {});
    // In the second script the batch is on its way when there is nothing else left to do.
    const sending = `${CALL}void defaultReporter().flush(1); await 0;`;
    for (const script of [CALL, sending]) {
      for (const url of [gone.url, hanging.url]) {
        assert.equal((await run(script, { BROWNOUT_URL: url }))[0], 0);
      }
    }
    const wrong: [env: Record<string, string>, told: RegExp][] = [
      [{ BROWNOUT_URL: 'localhost' }, /nothing is reported: BROWNOUT_URL: not a URL, expected one/],
      [{ BROWNOUT_URL: 'ftp://a' }, /nothing is reported: BROWNOUT_URL: expected http or https/],
      [{ BROWNOUT_TOKEN: 'a\nb' }, /nothing is reported: BROWNOUT_TOKEN: holds a blank/],
    ];
    for (const [env, told] of wrong) {
      const [code, said] = await run(CALL, { BROWNOUT_URL: gone.url, ...env });
      assert.equal(code, 0);
      assert.match(said, told);
    }
    await hanging.close();
  });
});

test('wrong options are refused at once, by name', () => {
  const cases: [options: ConstructorParameters<typeof Reporter>[0], told: RegExp][] = [
    [{ url: 'nonsense' }, /^url: not a URL, expected one like http:\/\/127\.0\.0\.1:10529$/],
    [{ url: 'redis://a' }, /^url: expected http or https, got redis$/],
    [{ token: 'two words' }, /^token: holds a blank/],
    [{ batchRecordsMax: 5_001 },
      /^batchRecordsMax: expected a whole number from 1 to 5000, got 5001$/],
    [{ flushIntervalMs: 0.5 }, /^flushIntervalMs: expected a whole number/],
    [{ queueRecordsMax: Number.NaN }, /^queueRecordsMax: expected a whole number/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => new Reporter(options), { name: 'TypeError', message });
  }
});
