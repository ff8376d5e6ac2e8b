/** What a request tells about the attempt that it is: whom it asks, for which model. */

export interface Asked {
  host: string;
  /** Known at once, or as soon as the body of a `Request` has been read. */
  model: string | Promise<string | undefined>;
  attempt: number | undefined;
  op: string | undefined;
  /** The time-out that the SDK set, in milliseconds; it does not tell by its abort. */
  timeoutMs: number | undefined;
  signal: AbortSignal | undefined;
}

/** Longest body of a `Request` object that is read for its model, in bytes. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

// Asking how many tokens a text has is no work for the model.
const NO_WORK = /(?:\/count_tokens|\/input_tokens|:countTokens|count-tokens:rawPredict)$/;
// Azure's deployments, Bedrock's identifiers, Gemini's and Vertex AI's models.
const MODEL_IN_PATH = [
  /\/openai\/deployments\/([^/]+)\//,
  /\/model\/([^/]+)\/(?:invoke|invoke-with-response-stream|converse|converse-stream)$/,
  /\/(?:models|tunedModels)\/([^/:]+):\w+$/,
];

/** `undefined` where the request asks no model for anything. */
export function asked(input: unknown, init: RequestInit | undefined): Asked | undefined {
  const request = isRequest(input) ? input : undefined;
  const url = new URL(request ? request.url : String(input));
  const method = (init?.method ?? request?.method ?? 'GET').toUpperCase();
  if (method !== 'POST' || NO_WORK.test(url.pathname)) return undefined;
  const headers = new Headers(init?.headers ?? request?.headers);
  const model = modelOf(url, init, request, headers);
  if (model === undefined) return undefined;
  return {
    host: url.host,
    model,
    attempt: attemptOf(headers.get('x-stainless-retry-count')),
    op: headers.get('idempotency-key') ?? undefined,
    timeoutMs: secondsOf(headers.get('x-stainless-timeout')),
    signal: init?.signal ?? request?.signal ?? undefined,
  };
}

function modelOf(
  url: URL,
  init: RequestInit | undefined,
  request: Request | undefined,
  headers: Headers,
): string | Promise<string | undefined> | undefined {
  const inPath = modelInPath(url.pathname);
  const body: unknown = init?.body;
  if (body !== undefined && body !== null) return modelInBody(body) ?? inPath;
  const isJson = headers.get('content-type')?.includes('json') ?? false;
  if (!request?.body || !isJson || Number(headers.get('content-length')) > REQUEST_BYTES_MAX) {
    return inPath;
  }
  // The copy is taken before the request is sent, and read beside it.
  return readModel(request.clone()).then((model) => model ?? inPath);
}

function modelInPath(path: string): string | undefined {
  for (const pattern of MODEL_IN_PATH) {
    const found = pattern.exec(path)?.[1];
    if (found === undefined) continue;
    try {
      return decodeURIComponent(found);
    } catch {
      return found;
    }
  }
  return undefined;
}

function modelInBody(body: unknown): string | undefined {
  if (typeof body === 'string') return topLevelText(body, 'model');
  if (body instanceof ArrayBuffer) return modelInBody(new Uint8Array(body));
  if (ArrayBuffer.isView(body)) {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return topLevelText(bytes.toString('utf8'), 'model');
  }
  if (typeof FormData !== 'undefined' && body instanceof FormData) {
    const model = body.get('model');
    return typeof model === 'string' ? model : undefined;
  }
  return undefined;
}

async function readModel(copy: Request): Promise<string | undefined> {
  try {
    const reader = copy.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const step = await reader?.read();
      if (step === undefined || step.done) return topLevelText(text, 'model');
      text += decoder.decode(step.value as Uint8Array, { stream: true });
      if (text.length > REQUEST_BYTES_MAX) {
        await reader?.cancel();
        return topLevelText(text, 'model');
      }
    }
  } catch {
    return undefined;
  }
}

/**
 * The text that a key of the outermost object has. Prompts are long, with whole images in them:
 * they are skipped from quote to quote instead of parsed.
 */
export function topLevelText(json: string, key: string): string | undefined {
  let depth = 0;
  let isKey = false;
  let wanted = false;
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charCodeAt(at)) {
      case 0x22: {
        const end = endOfText(json, at);
        if (end < 0) return undefined;
        if (depth === 1 && isKey) {
          wanted = end - at - 1 === key.length && json.startsWith(key, at + 1);
          isKey = false;
        } else if (depth === 1 && wanted) {
          return unquote(json.slice(at, end + 1));
        }
        at = end;
        break;
      }
      case 0x7b: // {
      case 0x5b: // [
        depth += 1;
        if (depth === 1) isKey = json.charCodeAt(at) === 0x7b;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth -= 1;
        if (depth <= 0) return undefined;
        break;
      case 0x2c: // ,
        if (depth === 1) {
          isKey = true;
          wanted = false;
        }
        break;
    }
  }
  return undefined;
}

function endOfText(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

function unquote(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' && value !== '' ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRequest(input: unknown): input is Request {
  return typeof input === 'object' && input !== null && 'url' in input && 'headers' in input;
}

function attemptOf(retries: string | null): number | undefined {
  return retries !== null && /^\d{1,6}$/.test(retries) ? Number(retries) + 1 : undefined;
}

function secondsOf(value: string | null): number | undefined {
  return value !== null && /^\d{1,7}$/.test(value) ? Number(value) * 1000 : undefined;
}
