/** The many names of what goes wrong below HTTP. */
import type { TransportError } from './outcome.js';

const BY_CODE: Record<string, TransportError> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  ECONNREFUSED: 'connect_refused',
  ConnectionRefused: 'connect_refused',
  EHOSTUNREACH: 'connect_refused',
  ENETUNREACH: 'connect_refused',
  EADDRNOTAVAIL: 'connect_refused',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'read_timeout',
  UND_ERR_BODY_TIMEOUT: 'idle_timeout',
  ECONNRESET: 'reset_before_headers',
  ConnectionClosed: 'reset_before_headers',
  ECONNABORTED: 'reset_before_headers',
  EPIPE: 'reset_before_headers',
  UND_ERR_SOCKET: 'reset_before_headers',
};
const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO)/;
// What the runtimes say where they give no code.
const NETWORK = /fetch failed|failed to fetch|terminated|network|socket|load failed|hang up/i;

/**
 * What the error of a request that got no answer means; `undefined` where it is none of the
 * transport's (a bad URL, an error of the caller's own `fetch`).
 */
export function transportError(error: unknown): TransportError | undefined {
  for (const cause of causes(error)) {
    const code = property(cause, 'code');
    if (typeof code === 'string') {
      const known = BY_CODE[code];
      if (known !== undefined) return known;
      if (TLS.test(code)) return 'tls';
      if (code.startsWith('HPE_') || code.startsWith('UND_ERR_')) return 'reset_before_headers';
    }
    if (property(cause, 'name') === 'TimeoutError') return 'timeout';
  }
  const message = property(error, 'message');
  const isNetwork = error instanceof TypeError && NETWORK.test(String(message));
  return isNetwork ? 'reset_before_headers' : undefined;
}

/** The same for a request whose answer had begun. */
export function streamError(error: unknown): TransportError {
  const found = transportError(error);
  const isTimeout = found === 'timeout' || found === 'idle_timeout' || found === 'read_timeout';
  return isTimeout ? 'idle_timeout' : 'reset_mid_stream';
}

/** Whether a signal was aborted by the clock, as far as its reason tells. */
export function isTimeoutReason(reason: unknown): boolean {
  return causes(reason).some((cause) => /timeout/i.test(String(property(cause, 'name'))));
}

export function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || property(error, 'name') === 'AbortError';
}

function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let current = error;
  while (current !== undefined && current !== null && chain.length < 5) {
    chain.push(current);
    // Happy eyeballs: one error for each address.
    const several = property(current, 'errors');
    if (Array.isArray(several)) chain.push(...several.slice(0, 5));
    current = property(current, 'cause');
  }
  return chain;
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
