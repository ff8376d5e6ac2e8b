/** Real parts for the tests: the daemon, simulated providers, servers that misbehave. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const PACKAGE = new URL('../', import.meta.url).pathname;
const REPOSITORY = new URL('../../../', import.meta.url).pathname;

export interface Program {
  url: string;
  stop(): Promise<void>;
}

function binary(): string {
  const given = process.env['BROWNOUT_BIN'];
  const places = ['debug', 'release'].map((kind) => join(REPOSITORY, 'target', kind, 'brownout'));
  const found = given ?? places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new Error(`no brownout at ${places.join(' or ')}: run cargo build, or set BROWNOUT_BIN`);
}

/** A daemon on a free port; `config` is YAML. */
export function daemon(config = '{}'): Promise<Program> {
  return started(config, 'brownout.yaml', (file, folder) => [
    '--config.file', file, '--web.listen-address', '127.0.0.1:0', '--storage.path', folder,
  ]);
}

/** Simulated providers on a free port; `scenario` is YAML. */
export function simulator(scenario: string): Promise<Program> {
  return started(scenario, 'scenario.yaml', (file) => [
    'simulate', '--listen', '127.0.0.1:0', '--scenario', file, '--seed', '1',
  ]);
}

async function started(
  yaml: string,
  name: string,
  args: (file: string, folder: string) => string[],
): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), 'brownout-reporter-'));
  const file = join(folder, name);
  writeFileSync(file, yaml);
  const child = spawn(binary(), args(file, folder), { stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    // It never began.
    child.once('error', () => resolve());
  });
  const stop = async () => {
    child.kill();
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { url: `http://${await address(child)}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first address on loopback that a program tells of. */
function address(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const found = /(?:address=|on http:\/\/)(127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  });
}

/** The classes that `brownout classify` gives to replies. */
export function classified(replies: object[]): string[] {
  const input = replies.map((one) => JSON.stringify(one)).join('\n');
  const { stdout } = spawnSync(binary(), ['classify'], { input, encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { class: string }).class);
}

/** Counts by `provider/model attempt class`. */
export type Counts = Record<string, number>;

/** What the simulated providers did. */
export async function ledger(url: string): Promise<Counts> {
  const counts: Counts = {};
  for (const { provider, model, attempt, class: ended, count } of await ledgerRows(url)) {
    add(counts, `${provider}/${model} ${attempt} ${ended}`, count);
  }
  return counts;
}

/** How many of them were overload inside an HTTP 200. */
export async function overloadedInStream(url: string): Promise<number> {
  const rows = await ledgerRows(url);
  const found = rows.filter(({ class: ended, code }) => ended === 'overloaded' && code === 200);
  return found.reduce((total, { count }) => total + count, 0);
}

async function ledgerRows(url: string): Promise<LedgerRow[]> {
  const { rows } = (await json(`${url}/admin/ledger`)) as { rows: LedgerRow[] };
  return rows;
}

interface LedgerRow {
  provider: string;
  model: string;
  attempt: string;
  class: string;
  code: number | null;
  count: number;
}

/** What the daemon counted, from `/metrics`. */
export async function counted(url: string): Promise<Counts> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts: Counts = {};
  const sample = /^brownout_(requests|request_errors)_total\{(.*)\} (\d+)$/gm;
  for (const [, family, list, value] of text.matchAll(sample)) {
    const labels = Object.fromEntries(
      [...list!.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, label]) => [key, label]),
    );
    if (labels['source'] !== 'client' || value === '0') continue;
    const target = `${labels['provider']}/${labels['model']} ${labels['attempt']}`;
    const ok = `${target} ok`;
    add(counts, ok, family === 'requests' ? Number(value) : -Number(value));
    if (family === 'request_errors') add(counts, `${target} ${labels['reason']}`, Number(value));
  }
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

export type Window = Record<
  'attempts' | 'ok' | 'overloaded' | 'rate_limited' | 'unavailable',
  number
>;

/** What the health document says of a target's last 24 hours. */
export async function health(url: string, target: string): Promise<Window> {
  const response = await fetch(`${url}/v1/health/${target}`);
  const document = (await response.json()) as { windows?: { '24h': Window } };
  const window = document.windows?.['24h'];
  const count = (key: keyof Window) => window?.[key] ?? 0;
  return {
    attempts: count('attempts'),
    ok: count('ok'),
    overloaded: count('overloaded'),
    rate_limited: count('rate_limited'),
    unavailable: count('unavailable'),
  };
}

/** The ledger's counts of a target as the health document has them. */
export function windowOf(counts: Counts, target: string): Window {
  const of = (ended: string) =>
    (counts[`${target} first ${ended}`] ?? 0) + (counts[`${target} retry ${ended}`] ?? 0);
  return {
    attempts: sum(Object.fromEntries(Object.entries(counts).filter(([key]) =>
      key.startsWith(`${target} `)))),
    ok: of('ok'),
    overloaded: of('overloaded'),
    rate_limited: of('rate_limited'),
    unavailable: of('unavailable'),
  };
}

export function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function add(counts: Counts, key: string, count: number): void {
  counts[key] = (counts[key] ?? 0) + count;
}

async function json(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

/** Asks again until the answer fits; the last answer is returned when time is up. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  fits: (answer: T) => boolean,
): Promise<T> {
  const giveUpAt = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (fits(answer) || Date.now() > giveUpAt) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface Server {
  url: string;
  port: number;
  close(): Promise<void>;
}

/** A server of the test's own. */
export async function serve(handler: http.RequestListener, port = 0): Promise<Server> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export type Sent = Record<string, unknown>;

/** A daemon that takes everything and remembers it. */
export interface Recorder extends Server {
  /** Every record, in the order of arrival. */
  records: Sent[];
  /** Everything that came, headers included. */
  heard: string[];
  keys: string[];
}

export async function recorder(port = 0): Promise<Recorder> {
  const records: Sent[] = [];
  const heard: string[] = [];
  const keys: string[] = [];
  const server = await serve(async (request, response) => {
    const text = gunzipSync(await bodyOf(request)).toString();
    heard.push(`${request.url} ${JSON.stringify(request.headers)}\n${text}`);
    keys.push(String(request.headers['idempotency-key']));
    const lines = text.split('\n').filter((line) => line !== '');
    records.push(...lines.map((line) => JSON.parse(line) as Sent));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ accepted: lines.length, duplicate: 0, rejected: [] }));
  }, port);
  return { ...server, records, heard, keys };
}

/** Runs a script that imports the package; tells how it ended and what it said. */
export function run(script: string, env: Record<string, string>): Promise<[number | null, string]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: PACKAGE,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // One that does not end is a failure and no reason to wait.
    timeout: 60_000,
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve([code, said])));
}
