/**
 * A `fetch` that reports each attempt. The SDKs of Anthropic and OpenAI and the AI SDK of Vercel
 * take one, and call it once for every attempt, retries included.
 */
import { randomUUID } from 'node:crypto';

import { BODY_BYTES_MAX, bodyWords, parse, type Words } from './envelope.js';
import type { Outcome, TransportError } from './outcome.js';
import { defaultReporter, type Reporter } from './reporter.js';
import { type Asked, asked } from './request.js';
import { EventStream, failureIn, FrameStream, type Seen } from './stream.js';
import { isAbort, isTimeoutReason, streamError, transportError } from './transport.js';
import { watched, type Watcher } from './watch.js';

export interface ReportingFetchOptions {
  /** Where to report to; default: one for the process, set up by the environment. */
  reporter?: Reporter | undefined;
  /** The provider's name, where its host does not tell, as behind a gateway of one's own. */
  provider?: string | undefined;
  region?: string | undefined;
  account?: string | undefined;
  /**
   * Report a stream twice: at its first content, which counts as ok at once
   * (`phase: "admitted"`), and at its end.
   */
  early?: boolean | undefined;
}

type Fetch = typeof globalThis.fetch;

/** `fetch`, or the one given, with every attempt at a model reported. */
export function reportingFetch(fetch?: Fetch, options: ReportingFetchOptions = {}): Fetch {
  if (fetch !== undefined && typeof fetch !== 'function') {
    throw new TypeError(
      'reportingFetch: the first argument must be a fetch function or undefined; ' +
        'options come second',
    );
  }
  const labels: Labels = {
    provider: options.provider,
    region: options.region,
    account: options.account,
  };
  const reportTo = (outcome: Outcome) =>
    (options.reporter ?? defaultReporter()).report({ ...labels, ...outcome });
  const early = options.early ?? false;
  return async function reporting(input, init) {
    // Looked up at each call, as a tracer may replace it after this was made.
    const send = fetch ?? globalThis.fetch;
    const attempt = guarded(() => begin(input, init, reportTo, early));
    if (attempt === undefined) return send(input, init);
    let response: Response;
    try {
      response = await send(input, init);
    } catch (error) {
      guarded(() => attempt.noAnswer(error));
      throw error;
    }
    return guarded(() => attempt.answered(response)) ?? response;
  };
}

/**
 * How long the daemon surely knows an admission: a minute less than it says. Later a success has no
 * second record, as that would count as another attempt.
 */
const ADMISSION_KNOWN_MS = 14 * 60 * 1000;

type Labels = Pick<Outcome, 'provider' | 'region' | 'account'>;
type Report = (outcome: Outcome) => void;

function begin(
  input: unknown,
  init: RequestInit | undefined,
  report: Report,
  early: boolean,
): Attempt | undefined {
  const request = asked(input, init);
  return request === undefined ? undefined : new Attempt(request, report, early);
}

/** Whatever goes wrong in here is no business of the caller's. */
function guarded<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** What one attempt ended as, beyond what is known from its request. */
type End = Pick<Outcome, 'status' | 'error' | 'class' | 'phase' | 'ms'> & Words;

const REQUEST_ID_HEADERS = [
  'request-id', 'x-request-id', 'x-amzn-requestid', 'apim-request-id', 'x-generation-id',
];

class Attempt {
  readonly #asked: Asked;
  readonly #report: Report;
  readonly #early: boolean;
  readonly #startedAt = performance.now();
  readonly #op: string | undefined;
  #ttftMs: number | undefined;
  #requestId: string | undefined;
  #retryAfter: number | undefined;
  #admittedAt: number | undefined;
  #ended = false;

  constructor(request: Asked, report: Report, early: boolean) {
    this.#asked = request;
    this.#report = report;
    this.#early = early;
    this.#op = request.op ?? (early ? randomUUID() : undefined);
  }

  noAnswer(error: unknown): void {
    const { signal, timeoutMs } = this.#asked;
    if (!isAbort(error, signal)) {
      const transport = transportError(error);
      // An error of the caller's own `fetch` says nothing about the provider.
      this.#end(transport === undefined ? { class: 'other' } : { error: transport });
      return;
    }
    // The SDKs abort without a reason both when their own time-out has passed and when the caller
    // gives up; they tell the time-out in a header.
    const isTimeout =
      isTimeoutReason(signal?.reason) ||
      isTimeoutReason(error) ||
      (timeoutMs !== undefined && this.#ms() >= timeoutMs);
    this.#end({ error: isTimeout ? 'timeout' : 'canceled' });
  }

  /** The response for the caller: the same, but for a body that is watched. */
  answered(response: Response): Response {
    const { status, headers } = response;
    for (const name of REQUEST_ID_HEADERS) this.#requestId ??= headers.get(name) ?? undefined;
    if (status >= 400) this.#retryAfter = retryAfter(headers);
    const body = response.body;
    if (body === null) {
      this.#end({ status, ms: this.#ms() });
      return response;
    }
    const make = maker(response);
    if (make === undefined || !(body instanceof ReadableStream) || body.locked) {
      // Another library's response: its body cannot be watched.
      this.#end({ status });
      return response;
    }
    return likeness(make(watched(body, this.#watcher(response), !response.ok)), response);
  }

  #watcher(response: Response): Watcher {
    const { status, headers } = response;
    const type = headers.get('content-type')?.toLowerCase() ?? '';
    const watcher = response.ok ? this.#goodBody(status, type) : this.#errorBody(status, headers);
    return {
      chunk: (bytes) => void guarded(() => watcher.chunk(bytes)),
      end: () => void guarded(() => watcher.end()),
      fail: (error) => void guarded(() => watcher.fail(error)),
      cancel: () => void guarded(() => watcher.cancel()),
    };
  }

  #errorBody(status: number, headers: Headers): Watcher {
    const type = headers.get('content-type')?.toLowerCase() ?? '';
    const head = new Head();
    const words = () => errorOf(head, type, status, headers);
    const end = () => this.#end({ status, ms: this.#ms(), ...words() });
    return {
      chunk: (bytes) => {
        head.add(bytes);
        if (head.isFull) end();
      },
      end,
      // The status is there; that its explanation broke off changes nothing.
      fail: end,
      cancel: end,
    };
  }

  #goodBody(status: number, type: string): Watcher {
    if (type.startsWith('text/event-stream')) return this.#stream(status, new EventStream());
    if (type.includes('vnd.amazon.eventstream')) return this.#stream(status, new FrameStream());
    const head = new Head();
    const looksAtBody = type.includes('json') || type.includes('html');
    return {
      chunk: (bytes) => {
        if (looksAtBody) head.add(bytes);
      },
      end: () => {
        const words = looksAtBody ? answerWords(head, type, status) : {};
        this.#end({ status, ms: this.#ms(), ...words });
      },
      fail: (error) => this.#brokeOff(status, error),
      cancel: () => this.#end({ status }),
    };
  }

  #stream(status: number, events: EventStream | FrameStream): Watcher {
    const seen: Seen = events.seen;
    const look = () => {
      if (seen.content && this.#ttftMs === undefined) {
        this.#ttftMs = this.#ms();
        if (this.#early && seen.failure === undefined) this.#admit(status);
      }
      // At once, for SDKs hang up on an error without reading on.
      if (seen.failure !== undefined) {
        // Without a word the daemon would take it for a stream that went well.
        const words = isFailure(seen.failure) ? seen.failure : { error_type: 'server_error' };
        this.#end({ status, phase: 'stream', ms: this.#ms(), ...words });
      }
    };
    return {
      chunk: (bytes) => {
        events.feed(bytes);
        look();
      },
      end: () => {
        events.end();
        look();
        if (seen.ended || !seen.known) this.#end({ status, ms: this.#ms() });
        else this.#end({ status, phase: 'stream', error: 'eof_before_terminal', ms: this.#ms() });
      },
      fail: (error) => {
        if (seen.ended) this.#end({ status, ms: this.#ms() });
        else this.#brokeOff(status, error);
      },
      cancel: () => {
        if (seen.ended) this.#end({ status, ms: this.#ms() });
        else this.#canceled(status);
      },
    };
  }

  #brokeOff(status: number, error: unknown): void {
    const { signal } = this.#asked;
    if (!isAbort(error, signal)) {
      this.#end({ status, phase: 'stream', error: streamError(error), ms: this.#ms() });
    } else if (isTimeoutReason(signal?.reason) || isTimeoutReason(error)) {
      this.#end({ status, phase: 'stream', error: 'timeout', ms: this.#ms() });
    } else {
      this.#canceled(status);
    }
  }

  /** The caller hung up: no fault of the provider's, and no proof of its health either. */
  #canceled(status: number): void {
    // What was admitted stays so.
    if (this.#admittedAt !== undefined) this.#ended = true;
    this.#end({ status, phase: 'stream', error: 'canceled' });
  }

  #admit(status: number): void {
    if (this.#ended) return;
    this.#admittedAt = performance.now();
    this.#send({ status, phase: 'admitted' });
  }

  /** The first end counts: a caller that hangs up on an error cancels what has ended. */
  #end(end: End): void {
    if (this.#ended) return;
    this.#ended = true;
    const isGood = end.status !== undefined && end.status < 300 && !isFailure(end);
    const openMs = performance.now() - (this.#admittedAt ?? performance.now());
    if (isGood && openMs > ADMISSION_KNOWN_MS) return;
    this.#send({ ...end, ms: end.ms ?? (end.status === undefined ? this.#ms() : undefined) });
  }

  #send(end: End): void {
    const { host, model, attempt } = this.#asked;
    const outcome: Omit<Outcome, 'model'> = {
      host,
      attempt,
      op: this.#op,
      ts: Date.now() / 1000,
      ttft_ms: this.#ttftMs,
      request_id: this.#requestId,
      retry_after: this.#retryAfter,
      ...end,
    };
    if (typeof model === 'string') {
      this.#report({ model, ...outcome });
      return;
    }
    void model.then((name) => {
      if (name !== undefined) this.#report({ model: name, ...outcome });
    });
  }

  #ms(): number {
    return performance.now() - this.#startedAt;
  }
}

function isFailure(end: End): boolean {
  const marks: (string | TransportError | undefined)[] = [
    end.error, end.error_type, end.error_code, end.body,
  ];
  return marks.some((mark) => mark !== undefined);
}

/** The beginning of a body. */
class Head {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  isFull = false;

  add(chunk: Uint8Array): void {
    if (this.isFull) return;
    const room = BODY_BYTES_MAX - this.#bytes;
    // A copy: the chunk is the caller's from now on.
    this.#chunks.push(chunk.slice(0, room));
    this.#bytes += chunk.byteLength;
    this.isFull = this.#bytes >= BODY_BYTES_MAX;
  }

  take(): string {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    this.#chunks.length = 0;
    return text;
  }
}

function errorOf(head: Head, type: string, status: number, headers: Headers): Words {
  const words = bodyWords(head.take(), type, status);
  const amazon = headers.get('x-amzn-errortype')?.split(':')[0];
  if (amazon && words.error_code !== 'overloaded') words.error_type = amazon;
  const plan = headers.get('anthropic-ratelimit-unified-status');
  if (status === 429 && plan === 'rejected') words.error_code = 'quota_exceeded';
  return words;
}

/** The words of an answer with a good status, which some providers give to errors. */
function answerWords(head: Head, type: string, status: number): Words {
  // An error is short; what is longer is an answer.
  if (head.isFull) return {};
  const text = head.take();
  if (type.includes('html')) return bodyWords(text, type, status);
  return failureIn(parse(text)) ?? {};
}

function retryAfter(headers: Headers): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(ms)) return Math.max(ms / 1000, 0);
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const seconds = Number(value);
  if (value.trim() !== '' && Number.isFinite(seconds)) return Math.max(seconds, 0);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max((at - Date.now()) / 1000, 0);
}

type Make = (body: ReadableStream<Uint8Array> | null) => Response;

/** How to make a response like this one; `undefined` for what only looks like a response. */
function maker(response: Response): Make | undefined {
  const given: object = response;
  const constructor: unknown =
    given instanceof globalThis.Response ? globalThis.Response : given.constructor;
  if (typeof constructor !== 'function' || constructor.name !== 'Response') return undefined;
  const Class = constructor as typeof globalThis.Response;
  const { status, statusText } = response;
  const headers = [...response.headers] as [string, string][];
  const make: Make = (body) => new Class(body, { status, statusText, headers });
  // Once its body is watched there is no way back to the original, so try before.
  return guarded(() => make(null)) === undefined ? undefined : make;
}

/** Gives a response, and its clones, what only the network can set. */
function likeness(made: Response, original: Response): Response {
  const { url, type, redirected } = original;
  const clone = made.clone.bind(made);
  for (const [key, value] of Object.entries({ url, type, redirected })) {
    Object.defineProperty(made, key, { value, configurable: true, enumerable: true });
  }
  Object.defineProperty(made, 'clone', {
    value: () => likeness(clone(), original),
    configurable: true,
    writable: true,
  });
  return made;
}
