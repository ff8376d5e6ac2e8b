/**
 * Carries outcomes to the daemon: in batches, behind the caller's back, and as often as needed.
 *
 * A batch keeps its bytes, its key and the ids in it until the daemon has answered, so sending it
 * again never counts twice. What waits is bounded; beyond that the oldest records go, and are
 * counted. Nothing here keeps the process alive, except for the last flush before it ends.
 */
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import { type Outcome, serialise } from './outcome.js';
import { type Answer, Sender } from './sender.js';

export interface ReporterOptions {
  /** Where the daemon is; default: `BROWNOUT_URL`, else `http://127.0.0.1:10529`. */
  url?: string | undefined;
  /** The bearer token; default: `BROWNOUT_TOKEN`. */
  token?: string | undefined;
  /** Who reports; default: `BROWNOUT_SERVICE`. */
  service?: string | undefined;
  /** How long a record waits for others to go with, in milliseconds; default: 1000. */
  flushIntervalMs?: number | undefined;
  /** Most records in a batch, up to 5000; default: 500. */
  batchRecordsMax?: number | undefined;
  /** Most records that wait while the daemon is away; default: 10000, some 5 MB. */
  queueRecordsMax?: number | undefined;
  /** How long the daemon may take to answer, in milliseconds; default: 10000. */
  requestTimeoutMs?: number | undefined;
  /** Told once of each kind of trouble; default: a line on standard error. */
  onTrouble?: ((message: string) => void) | undefined;
}

/** What became of the records so far. */
export interface ReporterStats {
  /** Waiting, the batch that is being sent included. */
  queued: number;
  /** Counted by the daemon. */
  accepted: number;
  /** Already known to the daemon: a batch whose answer was lost. */
  duplicate: number;
  /** Refused by the daemon, one by one or as a batch. */
  rejected: number;
  /** Given up: no room, not an outcome, or reported after `close`. */
  dropped: number;
}

type Limit = 'flushIntervalMs' | 'batchRecordsMax' | 'queueRecordsMax' | 'requestTimeoutMs';

interface Batch {
  key: string;
  lines: string[];
  body: Buffer | undefined;
}

const DEFAULT_URL = 'http://127.0.0.1:10529';
const BACKOFF_MS_FIRST = 250;
const BACKOFF_MS_MAX = 30_000;
/** A daemon that asks for more patience than this is asked again all the same. */
const RETRY_AFTER_MS_MAX = 300_000;
/** How long the last flush may hold up the end of the process. */
const EXIT_MS_MAX = 2_000;

const compress = promisify(gzip);

// One listener for all of them: Node.js warns of more than ten.
const open = new Set<Reporter>();
const flushAll = () => open.forEach((reporter) => reporter.flushAtExit());

export class Reporter {
  readonly #options: Record<Limit, number>;
  readonly #service: string | undefined;
  readonly #sender: Sender | undefined;
  readonly #onTrouble: (message: string) => void;
  readonly #told = new Set<string>();
  // Lines of JSON: what is sent is settled when it is reported.
  #queue: string[] = [];
  #batch: Batch | undefined;
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #flushes = 0;
  #closed = false;
  #reported = 0;
  #reportedAtExit = 0;
  #accepted = 0;
  #duplicate = 0;
  #rejected = 0;
  #dropped = 0;

  constructor(options: ReporterOptions = {}) {
    this.#options = {
      flushIntervalMs: whole('flushIntervalMs', options.flushIntervalMs, 1_000, 1, 3_600_000),
      batchRecordsMax: whole('batchRecordsMax', options.batchRecordsMax, 500, 1, 5_000),
      queueRecordsMax: whole('queueRecordsMax', options.queueRecordsMax, 10_000, 1, 1_000_000),
      requestTimeoutMs: whole('requestTimeoutMs', options.requestTimeoutMs, 10_000, 1, 600_000),
    };
    this.#onTrouble = options.onTrouble ?? ((message) => console.error(message));
    this.#service = options.service ?? (process.env['BROWNOUT_SERVICE'] || undefined);
    this.#sender = this.#makeSender(options);
    open.add(this);
    if (open.size === 1) process.on('beforeExit', flushAll);
  }

  get stats(): ReporterStats {
    return {
      queued: this.#queue.length + (this.#batch?.lines.length ?? 0),
      accepted: this.#accepted,
      duplicate: this.#duplicate,
      rejected: this.#rejected,
      dropped: this.#dropped,
    };
  }

  /** Takes one outcome. Returns at once and never throws. */
  report(outcome: Outcome): void {
    try {
      this.#take(outcome);
    } catch {
      this.#dropped += 1;
    }
  }

  /** Sends what waits; `true` if all of it was answered within the time. */
  async flush(timeoutMs = 5_000): Promise<boolean> {
    if (this.#sender === undefined) return this.#isEmpty();
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    // This one holds the process; it is the only timer that does.
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        isLate = true;
        resolve();
      }, timeoutMs);
    });
    this.#flushes += 1;
    // Whoever ends in five seconds cannot wait as long as the daemon would like.
    for (let delayMs = 100; !this.#isEmpty() && !isLate; delayMs = Math.min(delayMs * 2, 1_000)) {
      this.#pump();
      await Promise.race([this.#sending, deadline]);
      if (this.#failures > 0 && !isLate) await Promise.race([pause(delayMs), deadline]);
    }
    this.#flushes -= 1;
    clearTimeout(timer);
    return this.#isEmpty();
  }

  /** Sends what waits, for at most that long, and ends. Later reports are dropped. */
  async close(timeoutMs = 5_000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    open.delete(this);
    if (open.size === 0) process.off('beforeExit', flushAll);
    const isDone = await this.flush(timeoutMs);
    clearTimeout(this.#timer);
    if (!isDone) {
      const { queued } = this.stats;
      this.#tell('close', `${queued} records were not sent before the end, is the daemon up?`);
      this.#dropped += queued;
      this.#queue = [];
      this.#batch = undefined;
    }
    this.#sender?.close();
  }

  #makeSender(options: ReporterOptions): Sender | undefined {
    const timeoutMs = this.#options.requestTimeoutMs;
    const given = { url: options.url, token: options.token };
    const { BROWNOUT_URL, BROWNOUT_TOKEN } = process.env;
    // What the program itself says wrong is an error at once.
    new Sender(given.url ?? DEFAULT_URL, 'url', given.token, 'token', timeoutMs).close();
    try {
      return new Sender(
        given.url ?? (BROWNOUT_URL || DEFAULT_URL),
        'BROWNOUT_URL',
        given.token ?? (BROWNOUT_TOKEN || undefined),
        'BROWNOUT_TOKEN',
        timeoutMs,
      );
    } catch (error) {
      // A wrong variable on some machine must not stop the program there.
      this.#tell('environment', `nothing is reported: ${(error as Error).message}`);
      return undefined;
    }
  }

  #take(outcome: Outcome): void {
    const line = serialise({
      service: this.#service,
      ...outcome,
      id: outcome.id ?? randomUUID(),
      ts: outcome.ts ?? Date.now() / 1000,
    });
    if (line === undefined) {
      this.#dropped += 1;
      this.#tell(
        'outcome',
        'a record was dropped: it needs model, provider or host, and status, error or class',
      );
      return;
    }
    if (this.#closed || this.#sender === undefined) {
      this.#dropped += 1;
      return;
    }
    this.#reported += 1;
    this.#queue.push(line);
    if (this.#queue.length > this.#options.queueRecordsMax) this.#makeRoom();
    const isFull = this.#queue.length >= this.#options.batchRecordsMax && this.#failures === 0;
    if (isFull && this.#sending === undefined) {
      // Not now: the caller is on its way with an answer.
      this.#schedule(0);
    } else if (this.#timer === undefined && this.#sending === undefined) {
      this.#schedule(this.#options.flushIntervalMs);
    }
  }

  /** A tenth at a time, for taking from the front of a long array is slow. */
  #makeRoom(): void {
    const surplus = Math.ceil(this.#options.queueRecordsMax / 10);
    this.#queue.splice(0, surplus);
    this.#dropped += surplus;
    this.#tell(
      'room',
      `more than ${this.#options.queueRecordsMax} records wait, the oldest are dropped; ` +
        'is the daemon up?',
    );
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), delayMs);
    this.#timer.unref();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      // Also what was reported in this very moment.
      const isWaiting = !this.#isEmpty() && this.#timer === undefined;
      if (isWaiting && !this.#closed) this.#schedule(this.#options.flushIntervalMs);
    });
  }

  async #sendAll(): Promise<void> {
    try {
      for (;;) {
        const batch = (this.#batch ??= this.#nextBatch());
        if (batch === undefined || this.#sender === undefined) return;
        batch.body ??= await compress(`${batch.lines.join('\n')}\n`);
        const answer = await this.#sender.send(batch.body, batch.key);
        // It may have been given up by `close` meanwhile.
        if (this.#batch !== batch) return;
        if (answer.kind === 'again') {
          this.#again(answer);
          return;
        }
        this.#settle(batch, answer);
        // A few lines wait for more to go with, unless somebody waits for them.
        const isFull = this.#queue.length >= this.#options.batchRecordsMax;
        if (!isFull && this.#flushes === 0) return;
      }
    } catch (error) {
      this.#again({ kind: 'again', what: (error as Error).message, afterMs: undefined });
    }
  }

  #nextBatch(): Batch | undefined {
    if (this.#queue.length === 0) return undefined;
    const lines = this.#queue.splice(0, this.#options.batchRecordsMax);
    return { key: randomUUID(), lines, body: undefined };
  }

  #again(answer: Extract<Answer, { kind: 'again' }>): void {
    this.#failures += 1;
    const steps = Math.min(this.#failures - 1, 10);
    const backoff = Math.min(BACKOFF_MS_FIRST * 2 ** steps, BACKOFF_MS_MAX);
    const asked = Math.min(answer.afterMs ?? 0, RETRY_AFTER_MS_MAX);
    // Half of it is chance, so that a fleet does not come back all at once.
    this.#schedule(Math.max(backoff * (0.5 + Math.random() / 2), asked));
    // A daemon that restarts is nobody's trouble.
    if (this.#failures >= 3) {
      this.#tell('away', `the daemon does not take reports (${answer.what}); trying on`);
    }
  }

  #settle(batch: Batch, answer: Exclude<Answer, { kind: 'again' }>): void {
    this.#batch = undefined;
    this.#failures = 0;
    if (answer.kind === 'refused') {
      this.#rejected += batch.lines.length;
      this.#tell(`refused ${answer.what}`, `reports are refused (${answer.what})`);
      return;
    }
    this.#accepted += answer.accepted;
    this.#duplicate += answer.duplicate;
    this.#rejected += answer.rejected;
    if (answer.rejected > 0) {
      this.#tell('rejected', `the daemon rejects records: ${answer.why ?? 'no reason given'}`);
    }
  }

  #isEmpty(): boolean {
    return this.#queue.length === 0 && this.#batch === undefined;
  }

  /** @internal */
  flushAtExit(): void {
    // The loop runs dry again after each flush; what could not be sent once is not tried again.
    if (this.#isEmpty() || this.#reported === this.#reportedAtExit) return;
    this.#reportedAtExit = this.#reported;
    void this.flush(EXIT_MS_MAX);
  }

  #tell(kind: string, message: string): void {
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    try {
      this.#onTrouble(`brownout-reporter: ${message}`);
    } catch {
      // Trouble about trouble is nobody's business.
    }
  }
}

let shared: Reporter | undefined;

/** The reporter of this process, set up by the environment. */
export function defaultReporter(): Reporter {
  shared ??= new Reporter();
  return shared;
}

function whole(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new TypeError(`${name}: expected a whole number from ${min} to ${max}, got ${value}`);
}

function pause(ms: number): Promise<void> {
  // Beside a deadline that holds the process, this need not.
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
