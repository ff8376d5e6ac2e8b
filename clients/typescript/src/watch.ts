/** A body that is looked at while it passes to the caller, and is never held. */

export interface Watcher {
  chunk(bytes: Uint8Array): void;
  /** It came to its end. */
  end(): void;
  /** It broke off. */
  fail(error: unknown): void;
  /** The caller wants no more of it. */
  cancel(): void;
}

/** How much of an error's body is read ahead, or after the caller has let go of it. */
const AHEAD_BYTES_MAX = 64 * 1024;
const DRAIN_MS_MAX = 5_000;

/**
 * The same bytes as they come, at the caller's pace. With `ahead` the beginning is read at once:
 * SDKs throw the bodies of errors away that they will retry, and the words in them with it.
 */
export function watched(
  body: ReadableStream<Uint8Array>,
  watcher: Watcher,
  ahead: boolean,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let reading: Promise<unknown> = Promise.resolve();
  let isOver = false;
  const read = async () => {
    const step = await reader.read();
    if (step.done) isOver = true;
    return step;
  };
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    let step;
    try {
      reading = step = read();
      step = await step;
    } catch (error) {
      isOver = true;
      watcher.fail(error);
      controller.error(error);
      return;
    }
    if (step.done) {
      watcher.end();
      closeQuietly(controller);
      return;
    }
    watcher.chunk(step.value);
    enqueueQuietly(controller, step.value);
  };
  const cancel = (reason: unknown) => {
    if (ahead && !isOver) {
      void drain(reader, reading, watcher, () => isOver);
      return undefined;
    }
    watcher.cancel();
    return reader.cancel(reason);
  };
  const source = { pull, cancel };
  return ahead
    ? new ReadableStream(source, {
        highWaterMark: AHEAD_BYTES_MAX,
        size: (chunk) => chunk?.byteLength ?? 0,
      })
    : new ReadableStream(source, { highWaterMark: 0 });
}

/** Reads on for a moment behind the caller's back; the connection can then be used again. */
async function drain(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  reading: Promise<unknown>,
  watcher: Watcher,
  isOver: () => boolean,
): Promise<void> {
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), DRAIN_MS_MAX);
  timer.unref?.();
  try {
    // The step in flight is handed to the watcher by the pull that began it.
    await reading;
    await Promise.resolve();
    let bytes = 0;
    while (!isOver() && bytes < AHEAD_BYTES_MAX) {
      const step = await reader.read();
      if (step.done) {
        watcher.end();
        return;
      }
      bytes += step.value.byteLength;
      watcher.chunk(step.value);
    }
    watcher.cancel();
    await reader.cancel();
  } catch (error) {
    watcher.fail(error);
  } finally {
    clearTimeout(timer);
  }
}

// A stream that the caller cancelled while a step was in flight takes no more.
function enqueueQuietly(
  controller: ReadableStreamDefaultController<Uint8Array>,
  chunk: Uint8Array,
): void {
  try {
    controller.enqueue(chunk);
  } catch {
    // nobody reads any more
  }
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close();
  } catch {
    // nobody reads any more
  }
}
