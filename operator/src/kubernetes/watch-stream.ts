import type { Clock } from '../clock.ts';
import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import type { KubernetesObject } from './object-client.ts';

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchOptions {
  readonly connection: ApiConnection;
  readonly request: ApiRequest;
  readonly acceptTimeoutMs: number;
  /** The watch ends with an error when nothing comes for so long. */
  readonly inactivityMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The server has taken the watch: what has changed meanwhile comes at once. */
  readonly onAccepted?: () => void;
}

/** A line is one object, and an object has 1.5 MiB at the most. */
const lineSizeMaxBytes = 8 * 2 ** 20;

/**
 * The events of one watch request. Ends when the server ends it; everything else is an `ApiError`: refused, broken, silent, an ERROR event, a line that is no event.
 * Nothing is ever left out in silence.
 */
export async function* watchStream<T extends KubernetesObject>(options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
  const { connection, request, signal, inactivityMs, clock } = options;
  const silent = new AbortController();
  const watch = () => clock.schedule(inactivityMs, () => silent.abort());
  let unwatch = watch();
  const onData = () => {
    unwatch();
    unwatch = watch();
  };
  try {
    const body = await connection.open(request, {
      timeoutMs: options.acceptTimeoutMs,
      signal: AbortSignal.any([signal, silent.signal]),
    });
    onData();
    options.onAccepted?.();
    for await (const line of lines(body, onData)) {
      yield parseEvent<T>(line, request.path);
    }
  } catch (error) {
    if (silent.signal.aborted) {
      throw new ApiError(
        `the watch of ${request.path} was silent for ${inactivityMs} ms, bookmarks included; it is taken for dead`,
        {
          ...{ status: 0, reason: 'Silent', cause: error },
        },
      );
    }
    if (error instanceof ApiError || signal.aborted) {
      throw error;
    }
    throw new ApiError(`the watch of ${request.path} broke off: ${(error as Error).message}`, {
      ...{ status: 0, reason: 'Broken', cause: error },
    });
  } finally {
    unwatch();
  }
}

async function* lines(body: AsyncIterable<Buffer>, onData: () => void): AsyncGenerator<string> {
  // Parts of a line that has not ended; joined once, because a large object comes in many.
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    onData();
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8');
      [parts, sizeBytes, from] = [[], 0, end + 1];
      if (line.trim() !== '') {
        yield line;
      }
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      sizeBytes += chunk.length - from;
    }
    if (sizeBytes > lineSizeMaxBytes) {
      throw new Error(`a line is longer than ${lineSizeMaxBytes} bytes`);
    }
  }
  // What is left is half an event of a connection that was cut; the next watch brings it whole.
}

const newline = 10;

function parseEvent<T extends KubernetesObject>(line: string, path: string): WatchEvent<T> {
  const event = parsed(line, path);
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      if (event.object?.metadata?.name !== undefined && event.object.metadata.resourceVersion !== undefined) {
        return { type: event.type, object: event.object as T };
      }
      break;
    case 'BOOKMARK':
      if (event.object?.metadata?.resourceVersion !== undefined) {
        return { type: 'BOOKMARK', resourceVersion: event.object.metadata.resourceVersion };
      }
      break;
    case 'ERROR': {
      const { code = 0, reason = 'Unknown', message = 'no message', details } = (event.object ?? {}) as unknown as ErrorStatus;
      const retryAfterMs = details?.retryAfterSeconds === undefined ? undefined : details.retryAfterSeconds * 1000;
      throw new ApiError(`the watch of ${path} was ended by the server: ${code} ${message}`, {
        status: code,
        reason,
        retryAfterMs,
      });
    }
  }
  throw noEvent(line, path);
}

interface ErrorStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

function parsed(line: string, path: string): { readonly type?: string; readonly object?: KubernetesObject } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (cause) {
    throw noEvent(line, path, cause);
  }
}

function noEvent(line: string, path: string, cause?: unknown): ApiError {
  return new ApiError(`the watch of ${path} brought a line that is no event: ${line.slice(0, 120)}`, {
    ...{ status: 0, reason: 'Unreadable', cause },
  });
}
