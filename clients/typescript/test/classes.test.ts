/** Recorded replies of providers through the wrapper: the daemon gives them the class they have. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Reporter, reportingFetch } from 'brownout-reporter';

import { classified, counted, daemon, eventually, sum } from './support.js';

interface Case {
  id: string;
  provider: string;
  http_status: number | null;
  headers: Record<string, string> | null;
  body: unknown;
  stream_event: unknown;
  transport?: string;
  expected_class: string;
}

const CASES = readFileSync(
  new URL('../../../tests/data/errors/cases.jsonl', import.meta.url),
  'utf8',
)
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Case)
  // Failures of the transport are not in a reply; without a status there is none.
  .filter(({ http_status, transport }) => (http_status ?? 0) >= 200 && !transport);

function reply({ http_status, headers, body, stream_event }: Case): Response {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  const isStream = stream_event !== null && stream_event !== undefined;
  const type = isStream ? 'text/event-stream' : 'application/json';
  let sent: string | Uint8Array = isStream ? text(stream_event) : text(body ?? '');
  if (headers?.['content-type']?.includes('eventstream')) sent = frame(sent);
  return new Response(sent, {
    status: http_status ?? 200,
    headers: { 'content-type': type, ...headers },
  });
}

/** A frame of Bedrock's event stream, from the text that the recording shows it as. */
function frame(shown: string): Uint8Array {
  const parts = [...shown.matchAll(/^(:[\w-]+): (.*)$/gm)].map(([, name, value]) =>
    Buffer.from(`${String.fromCharCode(name!.length)}${name}\x07\0${String.fromCharCode(
      value!.length,
    )}${value}`, 'latin1'));
  const headers = Buffer.concat(parts);
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(headers.byteLength, 4);
  return Buffer.concat([prelude, headers, Buffer.from(shown.split('\n\n')[1] ?? '')]);
}

/** The classes that the daemon gives to what the wrapper tells of these replies. */
async function reported(cases: Case[]): Promise<string[]> {
  const brownout = await daemon();
  const reporter = new Reporter({ url: brownout.url });
  try {
    for (const [at, one] of cases.entries()) {
      const answer = async () => reply(one);
      const fetch = reportingFetch(answer, { reporter, provider: one.provider });
      const body = JSON.stringify({ model: `case${at}x`, messages: [] });
      const response = await fetch('https://unknown.example/v1/chat', { method: 'POST', body });
      await response.text();
    }
    assert.equal(await reporter.flush(), true);
    const counts = await eventually(
      () => counted(brownout.url),
      (seen) => sum(seen) >= cases.length,
    );
    return cases.map((_, at) => {
      const key = Object.keys(counts).find((name) => name.includes(`/case${at}x `));
      return key?.split(' ')[2] ?? 'nothing';
    });
  } finally {
    await reporter.close();
    await brownout.stop();
  }
}

test('a recorded reply keeps its class', async () => {
  const found = await reported(CASES);
  const wrong: Record<string, string> = {};
  for (const [at, { id, expected_class }] of CASES.entries()) {
    if (found[at] !== expected_class) wrong[id] = `${found[at]}, not ${expected_class}`;
  }
  assert.ok(CASES.length > 100, `${CASES.length} cases`);
  assert.deepEqual(wrong, {});
});

test('a phrase means what it means to the daemon', async () => {
  const source = readFileSync(
    new URL('../../../src/domain/classify/message.rs', import.meta.url),
    'utf8',
  );
  const lists = [...source.matchAll(/^const \w+: &\[&str\] =\s*&\[([^\]]*)\];/gm)];
  assert.equal(lists.length, 9);
  const texts = lists.map(([, items]) => items).join(', ');
  const phrases = [...texts.matchAll(/"([^"]+)"/g)].map(([, phrase]) => phrase!);
  phrases.push('something unheard of');
  const cases: Case[] = [200, 400, 429, 500, 503].flatMap((status) =>
    phrases.map((phrase) => {
      const said = { error: { message: `Sorry:  ${phrase.toUpperCase()} (x)` } };
      const event = status === 200 ? `data: ${JSON.stringify(said)}\n\n` : null;
      return {
        id: `${status} ${phrase}`, provider: 'other', http_status: status, headers: null,
        body: event === null ? said : null, stream_event: event, expected_class: '',
      };
    }));
  const [expected, found] = await Promise.all([classified(cases), reported(cases)]);
  const named = (classes: string[]) =>
    Object.fromEntries(cases.map(({ id }, at) => [id, classes[at]]));
  assert.ok(new Set(expected).size > 5);
  assert.deepEqual(named(found), named(expected));
});
