/**
 * One batch to the daemon, and what its answer means.
 *
 * It uses `node:http` and not `fetch`: a socket can be told not to keep the process alive, and a
 * `fetch` that the program replaced or traces is left out of it.
 */
import * as http from 'node:http';
import * as https from 'node:https';

export type Answer =
  | { kind: 'taken'; accepted: number; duplicate: number; rejected: number; why?: string }
  /** It will never be taken. */
  | { kind: 'refused'; what: string }
  /** Not now. */
  | { kind: 'again'; what: string; afterMs: number | undefined };

const RETRYABLE = new Set([408, 429, 502, 503, 504]);
/** A receipt lists at most every record of a batch. */
const ANSWER_BYTES_MAX = 1024 * 1024;
const REMEDIES: Record<number, string> = {
  401: 'set BROWNOUT_TOKEN to one of ingest.tokens',
  403: 'set BROWNOUT_TOKEN to one of ingest.tokens',
  404: 'is BROWNOUT_URL that of a brownout daemon?',
  405: 'is BROWNOUT_URL that of a brownout daemon?',
  413: 'raise ingest.max_body or lower batchRecordsMax',
};

export class Sender {
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;
  readonly #headers: http.OutgoingHttpHeaders;
  readonly #timeoutMs: number;

  /** The `…From` say where a value comes from, for the message when it is no good. */
  constructor(
    url: string,
    urlFrom: string,
    token: string | undefined,
    tokenFrom: string,
    timeoutMs: number,
  ) {
    this.#url = endpoint(url, urlFrom);
    const isTls = this.#url.protocol === 'https:';
    const options = { keepAlive: true, maxSockets: 1 };
    this.#agent = isTls ? new https.Agent(options) : new http.Agent(options);
    this.#request = isTls ? https.request : http.request;
    this.#timeoutMs = timeoutMs;
    this.#headers = {
      'content-type': 'application/x-ndjson',
      'content-encoding': 'gzip',
      'user-agent': 'brownout-reporter-js',
    };
    if (token !== undefined) {
      if (!/^[\x21-\x7e]+$/.test(token)) {
        throw new TypeError(
          `${tokenFrom}: holds a blank or a character that no header can carry, ` +
            'look for a line break',
        );
      }
      this.#headers['authorization'] = `Bearer ${token}`;
    }
  }

  send(body: Buffer, key: string): Promise<Answer> {
    return new Promise((resolve) => {
      const headers = {
        ...this.#headers,
        'idempotency-key': key,
        'content-length': body.byteLength,
      };
      const request = this.#request(this.#url, { method: 'POST', agent: this.#agent, headers });
      const again = (what: string) => {
        clearTimeout(timer);
        resolve({ kind: 'again', what, afterMs: undefined });
      };
      const timer = setTimeout(() => {
        again('it does not answer in time');
        request.destroy();
      }, this.#timeoutMs);
      timer.unref();
      request.on('socket', (socket) => socket.unref());
      request.on('error', (error) => again((error as NodeJS.ErrnoException).code ?? 'no answer'));
      request.on('response', (response) => {
        readAll(response).then(
          (text) => {
            clearTimeout(timer);
            resolve(understood(response, text));
          },
          () => again('the answer broke off'),
        );
      });
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function endpoint(text: string, source: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`${source}: not a URL, expected one like http://127.0.0.1:10529`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError(`${source}: expected http or https, got ${url.protocol.slice(0, -1)}`);
  }
  const base = url.pathname.replace(/\/+$/, '');
  url.pathname = base.endsWith('/v1/outcomes') ? base : `${base}/v1/outcomes`;
  return url;
}

async function readAll(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes <= ANSWER_BYTES_MAX) chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function understood(response: http.IncomingMessage, text: string): Answer {
  const status = response.statusCode ?? 0;
  if (RETRYABLE.has(status)) {
    const afterMs = retryAfterMs(response.headers['retry-after']);
    return { kind: 'again', what: `HTTP ${status}`, afterMs };
  }
  const receipt = receiptOf(text);
  // Where every record was refused the status is 400, with the list all the same.
  if (receipt !== undefined && (status === 200 || status === 400)) return receipt;
  // Something else answers there, a proxy's greeting for example.
  if (status >= 200 && status < 300) {
    return { kind: 'refused', what: 'the answer is no receipt, is BROWNOUT_URL right?' };
  }
  const remedy = REMEDIES[status];
  return { kind: 'refused', what: `HTTP ${status}${remedy === undefined ? '' : `, ${remedy}`}` };
}

function receiptOf(text: string): Answer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { accepted, duplicate, rejected } = value as Record<string, unknown>;
  if (typeof accepted !== 'number' || !Array.isArray(rejected)) return undefined;
  const first: unknown = rejected[0];
  const why =
    typeof first === 'object' && first !== null && 'error' in first
      ? String(first.error).slice(0, 200)
      : undefined;
  const known = typeof duplicate === 'number' ? duplicate : 0;
  const taken = { accepted, duplicate: known, rejected: rejected.length };
  return { kind: 'taken', ...taken, ...(why === undefined ? {} : { why }) };
}

function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(seconds * 1000, 0);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(at - Date.now(), 0);
}
