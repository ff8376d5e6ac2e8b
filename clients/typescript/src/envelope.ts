/**
 * What an error body says, in two words.
 *
 * The words are the tokens of the provider's envelope. Where the envelope has none that tells
 * anything (`api_error`, `server_error`), but the sentence beside it does ("Overloaded"), the
 * token that stands for that wording is given in its place: the sentence itself is never kept.
 */
import { asToken, type IntermediaryPage } from './outcome.js';

export interface Words {
  error_type?: string | undefined;
  error_code?: string | undefined;
  body?: IntermediaryPage | undefined;
}

/** Most of a body that is looked at; error bodies are small, and memory is the caller's. */
export const BODY_BYTES_MAX = 64 * 1024;

const DEPTH_MAX = 6;
const TOKENS_MAX = 16;
const MESSAGE_CHARS_MAX = 2 * 1024;

// Where envelopes carry tokens, and where they nest.
const TOKEN_KEYS = [
  'type', 'code', 'status', 'reason', 'error_type', 'error_code', '__type', 'provider_code',
  'provider_error_code', 'limit_source',
];
const NESTS = ['error', 'response', 'details', 'metadata', 'errors', 'detail', 'data'];
// A gateway quotes the error of the upstream in a text.
const QUOTES = ['raw', 'message'];

// Words in the places of tokens that say nothing at all.
const EMPTY = new Set(['error', 'response.failed', 'failed', 'none', 'null', '0']);
// Tokens that say no more than the status does.
const VAGUE = new Set([
  'api_error', 'server_error',
  'internal_server_error', 'internalservererror', 'internal_error', 'internal', 'server',
  'upstream_error', 'invalid_request_error', 'invalid_argument', 'failed_precondition',
  'service_unavailable', 'service_unavailable_error', 'serviceunavailable', 'unavailable',
  'resource_exhausted', 'too_many_requests', 'too_many_requests_error', 'throttling_error',
  'requests', 'tokens',
]);
const RATE_LIMITS = new Set([
  'rate_limit_error', 'rate_limit_exceeded', 'rate_limit_reached_error', 'resource_exhausted',
]);
const QUOTAS = new Set(['exceeded_current_quota_error', 'insufficient_quota', 'quota_exceeded']);

const LONG_WINDOW = ['per day', 'per-day', '/ day', 'per month', 'per-month', '/ month', 'perday'];
// Wordings of the daemon's own table, and the token that means there what they say. The order
// counts. `open` ones are looked for only where the text is sure to be the provider's own, `good`
// ones only where the status says nothing. A test holds every phrase to the daemon's list.
const WORDINGS: { token: string; open: boolean; good?: boolean; phrases: string[] }[] = [
  {
    token: 'billing_error',
    open: false,
    phrases: [
      'credit balance is too low', 'insufficient balance', 'insufficient credits',
      'used all available credits', 'please enable billing',
    ],
  },
  {
    token: 'quota_exceeded',
    open: false,
    phrases: ['specified api usage limits', 'specified workspace api usage limits'],
  },
  { token: 'invalid_api_key', open: false, phrases: ['incorrect api key', 'api key not valid'] },
  {
    token: 'overloaded',
    open: true,
    phrases: [
      'overloaded', 'at capacity', 'over capacity', 'high demand', 'high traffic',
      'no capacity available', 'out of capacity', 'capacity exceeded', 'is too busy',
      'server busy', 'queue is full', 'too many connections',
      'temporarily unable to process your request', 'resource exhausted, please try again',
      'resource exhausted. please try again', 'rate-limited upstream', '访问量过大',
    ],
  },
  { token: 'unavailable_error', open: true, phrases: ['loading model'] },
  {
    token: 'rate_limit_exceeded',
    open: true,
    phrases: ['rate limit', 'too many requests', 'too many tokens', 'quota exceeded for'],
  },
  {
    token: 'unavailable_error',
    open: true,
    good: true,
    phrases: ['service unavailable', 'temporarily unavailable'],
  },
];

/** The words of an error body. `status` is HTTP's own, 200 for an error inside a stream. */
export function bodyWords(text: string, contentType: string, status: number): Words {
  const page = intermediary(text, contentType);
  if (page !== undefined) return { body: page };
  const value = parse(text);
  if (value !== undefined) return errorWords(value, status);
  // A bare sentence is a proxy's, or an error without an envelope.
  const word = text.length <= MESSAGE_CHARS_MAX ? wording(text, status) : undefined;
  return word === undefined ? {} : { error_code: word };
}

/** The words of an error that was JSON. */
export function errorWords(value: unknown, status: number): Words {
  if (isObject(value) && value['cloudflare_error'] === true) return { body: '<!doctype html>' };
  const found: Found = { tokens: [], messages: [] };
  collect(value, found, 0);
  const telling = found.tokens.filter((token) => !isVague(token));
  const words = [...telling, ...found.tokens.filter(isVague)];
  const message = found.messages.join(' ').slice(0, MESSAGE_CHARS_MAX);
  // Bedrock tells the status of the model behind it.
  const original = isObject(value) ? value['originalStatusCode'] : undefined;
  const effective = typeof original === 'number' ? original : status;
  const derived = derive(telling, words, message, effective);
  const [error_type, error_code] = derived === undefined ? words : [words[0], derived];
  return error_type === undefined ? { error_code } : { error_type, error_code };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

interface Found {
  tokens: string[];
  messages: string[];
}

function collect(value: unknown, found: Found, depth: number): void {
  if (depth > DEPTH_MAX || found.tokens.length >= TOKENS_MAX) return;
  if (Array.isArray(value)) {
    for (const item of value.slice(0, 4)) collect(item, found, depth + 1);
    return;
  }
  if (typeof value === 'string') {
    found.messages.push(value.slice(0, MESSAGE_CHARS_MAX));
    return;
  }
  if (!isObject(value)) return;
  // The innermost error is the most exact, so it comes first.
  for (const key of NESTS) if (value[key] !== undefined) collect(value[key], found, depth + 1);
  for (const key of QUOTES) {
    const text = value[key];
    if (typeof text === 'string') quoted(text, found, depth);
  }
  for (const key of TOKEN_KEYS) {
    // Google's type names and identifiers of the API's own are no tokens.
    const token = asToken(value[key], 64);
    if (token === undefined || token.includes('/') || EMPTY.has(token.toLowerCase())) continue;
    if (!found.tokens.includes(token)) found.tokens.push(token);
  }
  if (Array.isArray(value['violations'])) {
    for (const violation of value['violations'].slice(0, 4)) {
      const quota = isObject(violation) ? violation['quotaId'] : undefined;
      if (typeof quota === 'string') found.messages.push(quota);
    }
  }
}

function quoted(text: string, found: Found, depth: number): void {
  const start = text.indexOf('{');
  const end = text.lastIndexOf('}');
  const inner = start >= 0 && end > start ? parse(text.slice(start, end + 1)) : undefined;
  if (isObject(inner)) collect(inner, found, depth + 1);
  found.messages.push(text.slice(0, MESSAGE_CHARS_MAX));
}

function derive(
  telling: string[],
  all: string[],
  message: string,
  status: number,
): string | undefined {
  const lower = normalise(message);
  const has = (known: Set<string>) => all.some((token) => known.has(token.toLowerCase()));
  const isLong = LONG_WINDOW.some((phrase) => lower.includes(phrase));
  if (has(RATE_LIMITS) && isLong) return 'quota_exceeded';
  if (has(QUOTAS) && lower.includes('insufficient balance')) return 'billing_error';
  return telling.length > 0 ? undefined : wording(message, status);
}

function wording(message: string, status: number): string | undefined {
  const lower = normalise(message);
  const isOpen = status < 300 || status === 429 || status === 498 || status >= 500;
  const isLimit = isOpen || lower.includes('limit') || lower.includes('quota');
  for (const { token, open, good, phrases } of WORDINGS) {
    if ((open && !isOpen) || (good && status >= 300)) continue;
    if (phrases.some((phrase) => lower.includes(phrase))) return token;
    const isLong = token === 'quota_exceeded' && isLimit;
    if (isLong && LONG_WINDOW.some((phrase) => lower.includes(phrase))) return token;
  }
  return undefined;
}

function normalise(message: string): string {
  return message.slice(0, MESSAGE_CHARS_MAX).toLowerCase().replace(/\s+/g, ' ');
}

function isVague(token: string): boolean {
  return VAGUE.has(token.toLowerCase()) || /^[1-5]\d\d$/.test(token);
}

/** A page that no provider wrote: a proxy's, a content network's, a captive portal's. */
function intermediary(text: string, contentType: string): IntermediaryPage | undefined {
  const short = /^error code: (\d{3,4})$/.exec(text.trim());
  if (short) return `error code: ${Number(short[1])}`;
  const head = text.trimStart().slice(0, 1024).toLowerCase();
  if (!head.startsWith('<')) return undefined;
  const isPage = contentType.includes('html') || /<html|<!doctype html|<head|<body/.test(head);
  return isPage ? '<!doctype html>' : undefined;
}
