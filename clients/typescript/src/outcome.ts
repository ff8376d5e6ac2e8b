/**
 * One attempt as it is reported. What is not listed here is never sent: a caller's prompt cannot
 * leave the process by mistake.
 */
export interface Outcome {
  /** The provider's name; needed where `host` does not tell. */
  provider?: string | undefined;
  /** Whom the request went to, with its port unless it is the usual one. */
  host?: string | undefined;
  model: string;
  /** HTTP status; absent where there was no answer. */
  status?: number | undefined;
  /** What went wrong below HTTP. */
  error?: TransportError | undefined;
  /** The caller's own word, where there is neither a status nor an error. */
  class?: string | undefined;
  /** From the provider's error envelope; a token, never a sentence. */
  error_type?: string | undefined;
  error_code?: string | undefined;
  /** `stream`: it failed after an HTTP 200. `admitted`: the first content is there. */
  phase?: 'headers' | 'stream' | 'admitted' | undefined;
  /** 1 for the first try of a call, 2 for its first retry. */
  attempt?: number | undefined;
  /** Whether this was the last attempt of its call. */
  final?: boolean | undefined;
  /** Ties the attempts of one call together. */
  op?: string | undefined;
  /** When the attempt ended, in seconds since 1970; default: now. */
  ts?: number | undefined;
  ms?: number | undefined;
  ttft_ms?: number | undefined;
  /** Idempotency of this record; made up where absent. */
  id?: string | undefined;
  /** The provider's id of the request. */
  request_id?: string | undefined;
  /** Seconds that the answer told the caller to wait. */
  retry_after?: number | undefined;
  /** How many alike attempts this record stands for. */
  n?: number | undefined;
  service?: string | undefined;
  region?: string | undefined;
  account?: string | undefined;
  /** Which page an intermediary wrote in the provider's place; one of two fixed forms. */
  body?: IntermediaryPage | undefined;
}

export type TransportError =
  | 'dns'
  | 'connect_refused'
  | 'connect_timeout'
  | 'tls'
  | 'reset_before_headers'
  | 'read_timeout'
  | 'idle_timeout'
  | 'eof_before_terminal'
  | 'reset_mid_stream'
  | 'client_abort'
  | 'timeout'
  | 'connect'
  | 'reset'
  | 'canceled';

/** Stands for an HTML page, or repeats a proxy's bare number; nothing else of a body is sent. */
export type IntermediaryPage = '<!doctype html>' | `error code: ${number}`;

type Check = (value: unknown) => string | number | boolean | undefined;

// Every limit is the daemon's: what it would refuse, and with it the record, is not sent.
const CHECKS: Record<keyof Outcome, Check> = {
  provider: name,
  host: name,
  model: name,
  status: integer(100, 599),
  error: token(128),
  class: token(64),
  error_type: token(64),
  error_code: token(64),
  phase: token(64),
  attempt: integer(0, 4_294_967_295),
  final: (value) => (typeof value === 'boolean' ? value : undefined),
  op: token(64),
  ts: number,
  ms: milliseconds,
  ttft_ms: milliseconds,
  id: token(64),
  request_id: token(128),
  retry_after: number,
  n: integer(1, 1_000_000),
  service: text(64),
  region: name,
  account: name,
  body: (value) =>
    typeof value === 'string' && /^(?:<!doctype html>|error code: \d{3,4})$/.test(value)
      ? value
      : undefined,
};
const KEYS = Object.keys(CHECKS) as (keyof Outcome)[];

/**
 * The record as one line of JSON, without anything that is not a field or does not look like one;
 * `undefined` where what is left would be refused.
 */
export function serialise(outcome: Outcome): string | undefined {
  const kept: Record<string, unknown> = {};
  for (const key of KEYS) {
    const value = outcome[key];
    if (value === undefined || value === null) continue;
    const checked = CHECKS[key](value);
    if (checked !== undefined) kept[key] = checked;
  }
  const hasTarget = 'model' in kept && ('provider' in kept || 'host' in kept);
  const hasResult = ['status', 'error', 'error_type', 'class'].some((key) => key in kept);
  return hasTarget && hasResult ? JSON.stringify(kept) : undefined;
}

/** A word as providers put it into `type` and `code`; a sentence is not one. */
export function asToken(value: unknown, length: number): string | undefined {
  const word = typeof value === 'number' ? String(value) : value;
  if (typeof word !== 'string' || word.length === 0 || word.length > length) return undefined;
  return /^[\w.:/#@+=-]+$/.test(word) ? word : undefined;
}

function token(length: number): Check {
  return (value) => asToken(value, length);
}

function text(bytes: number): Check {
  return (value) => {
    if (typeof value !== 'string' || value.trim() === '') return undefined;
    return cut(value.replace(/[\u0000-\u001f\u007f]/g, ' '), bytes);
  };
}

function name(value: unknown): string | undefined {
  return text(128)(value) as string | undefined;
}

/** The longest prefix of at most that many bytes in UTF-8. */
function cut(value: string, bytes: number): string {
  let kept = value.slice(0, bytes);
  while (Buffer.byteLength(kept) > bytes) kept = kept.slice(0, -1);
  return kept.replace(/[\ud800-\udbff]$/, '');
}

function integer(min: number, max: number): Check {
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function milliseconds(value: unknown): number | undefined {
  const checked = number(value);
  return checked === undefined ? undefined : Math.round(checked);
}
