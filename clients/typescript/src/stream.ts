/**
 * Watches an event stream as it passes: whether it holds an error, whether it came to its end,
 * and when the first content was there. Nothing of it is kept beyond the event being read.
 */
import { type Words, errorWords, isObject, parse } from './envelope.js';

/** Most of one event that is looked at. The events that tell something are short. */
const EVENT_CHARS_MAX = 64 * 1024;

// A key cannot stand inside a text of the answer without a backslash before its quotes, so these
// find the events worth parsing.
const FINISH = /"finish_?[rR]eason"\s*:\s*"/;
const ERROR_KEY = /"error"\s*:\s*[{"]/;
const TYPE = /^\s*\{\s*"type"\s*:\s*"([\w.]{1,64})"/;

const ENDS = new Set([
  'message_stop', 'response.completed', 'response.incomplete', 'response.cancelled',
]);
const ERRORS = new Set(['error', 'response.failed']);

/** What has been seen of a stream so far. */
export interface Seen {
  /** It is of a kind whose end is known. */
  known: boolean;
  /** The first content is there. */
  content: boolean;
  /** The event that ends it is there. */
  ended: boolean;
  /** The first error in it. */
  failure: Words | undefined;
}

/** Reads server-sent events, with any line ending. */
export class EventStream {
  readonly seen: Seen = { known: false, content: false, ended: false, failure: undefined };
  readonly #decoder = new TextDecoder();
  #line = '';
  #event = '';
  #data = '';
  #bare = '';
  #afterReturn = false;

  feed(chunk: Uint8Array): void {
    this.#take(this.#decoder.decode(chunk, { stream: true }));
  }

  /** The stream is over; what was not closed by a blank line counts as well. */
  end(): void {
    if (this.#line !== '') this.#endLine();
    this.#dispatch();
  }

  #take(text: string): void {
    let at = this.#afterReturn && text.startsWith('\n') ? 1 : 0;
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    const breaks = /\r\n|\n|\r/g;
    breaks.lastIndex = at;
    for (let found = breaks.exec(text); found !== null; found = breaks.exec(text)) {
      this.#append(text.slice(at, found.index));
      this.#endLine();
      at = breaks.lastIndex;
    }
    this.#append(text.slice(at));
  }

  #append(text: string): void {
    const room = EVENT_CHARS_MAX - this.#line.length;
    if (room > 0) this.#line += text.slice(0, room);
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    if (line === '') {
      this.#dispatch();
    } else if (line.startsWith('data:')) {
      const data = line.slice(line[5] === ' ' ? 6 : 5);
      const room = EVENT_CHARS_MAX - this.#data.length;
      this.#data += (this.#data === '' ? data : `\n${data}`).slice(0, Math.max(room, 0));
    } else if (line.startsWith('event:')) {
      this.#event = line.slice(6, 6 + 64).trim();
    } else if (line.startsWith('{') || this.#bare !== '') {
      // Google puts its errors bare between the events, over several lines.
      this.#bare += line.slice(0, Math.max(EVENT_CHARS_MAX - this.#bare.length, 0));
    }
  }

  #dispatch(): void {
    const data = this.#data || this.#bare;
    const event = this.#event;
    this.#data = '';
    this.#event = '';
    this.#bare = '';
    if (data === '' && event === '') return;
    judge(this.seen, event, data);
  }
}

/** Finds exceptions in the binary event stream of Bedrock. */
export class FrameStream {
  readonly seen: Seen = { known: false, content: false, ended: false, failure: undefined };
  #tail = '';

  feed(chunk: Uint8Array): void {
    const text = this.#tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      .toString('latin1');
    // A header is its name, the type 7 of a text, two bytes of length, the text. JSON escapes
    // control characters, so no payload looks like one.
    const exception = /:exception-type\x07[^]{2}(\w{1,64})/.exec(text);
    if (exception && this.seen.failure === undefined) {
      this.seen.failure = { error_type: exception[1] };
    }
    if (/:event-type\x07[^]{2}(?:contentBlockDelta|chunk)/.test(text)) this.seen.content = true;
    if (/:event-type\x07[^]{2}messageStop/.test(text)) this.seen.ended = true;
    this.#tail = text.slice(-128);
  }

  end(): void {}
}

function judge(seen: Seen, event: string, data: string): void {
  if (data.trim() === '[DONE]') {
    seen.known = true;
    seen.ended = true;
    return;
  }
  const type = event || TYPE.exec(data)?.[1] || '';
  if (ENDS.has(type)) {
    seen.known = true;
    seen.ended = true;
    return;
  }
  const isPlain = !ERRORS.has(type) && !FINISH.test(data) && !ERROR_KEY.test(data);
  if (isPlain && seen.content && seen.known) return;
  const value = parse(data);
  seen.failure ??= ERRORS.has(type) ? errorWords(value, 200) : failureIn(value);
  if (isObject(value)) look(seen, type, value);
}

/** The words of the error that an answer or an event with a good status is. */
export function failureIn(value: unknown): Words | undefined {
  if (!isObject(value)) return undefined;
  const { error, type } = value;
  const isEnvelope = isObject(error) || (typeof error === 'string' && error !== '');
  if (isEnvelope || ERRORS.has(String(type))) return errorWords(value, 200);
  for (const choice of items(value['choices'])) {
    if (isObject(choice['error'])) return errorWords(choice, 200);
    const reason = choice['finish_reason'];
    // DeepSeek's word for overload, and OpenRouter's for whatever went wrong upstream.
    if (reason === 'insufficient_system_resource') return { error_type: reason };
    if (reason === 'error') return { error_type: 'server_error' };
  }
  return undefined;
}

function look(seen: Seen, type: string, value: Record<string, unknown>): void {
  const name = type || String(value['type'] ?? '');
  if (ENDS.has(name)) seen.ended = true;
  if (name === 'message_start' || name.startsWith('response.') || ENDS.has(name)) seen.known = true;
  if (name === 'content_block_delta' || /^response\..*\.delta$/.test(name)) seen.content = true;
  for (const choice of items(value['choices'])) {
    seen.known = true;
    seen.content ||= hasContent(choice);
    seen.ended ||= isReason(choice['finish_reason']);
  }
  for (const candidate of items(value['candidates'])) {
    seen.known = true;
    const content = candidate['content'];
    seen.content ||= isObject(content) && items(content['parts']).length > 0;
    seen.ended ||= isReason(candidate['finishReason']);
  }
}

function isReason(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function hasContent(choice: Record<string, unknown>): boolean {
  if (typeof choice['text'] === 'string' && choice['text'] !== '') return true;
  const delta = choice['delta'];
  if (!isObject(delta)) return false;
  return Object.entries(delta).some(
    ([key, part]) => key !== 'role' && part !== null && part !== '' && part !== undefined,
  );
}

function items(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
