import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { ApiError } from './api-error.ts';
import type { ClusterAccess } from './cluster-access.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With a leading slash, relative to the server. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** `application/json` unless told. */
  readonly contentType?: string;
}

export interface ApiAnswer {
  readonly status: number;
  /** JSON. */
  readonly body: unknown;
}

/** Single exchanges with the API server, without repetition: that is for callers, who know what is safe to repeat. */
export interface ApiConnection {
  /** The answer of a request that succeeded; `ApiError` for the rest, that is: refused, broken off, or not done after `timeoutMs`. */
  send(
    request: ApiRequest,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ApiAnswer>;
  /** The body as it comes, once the server has accepted within `timeoutMs`. Ends with an error when the signal aborts or the connection breaks. */
  open(
    request: ApiRequest,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Buffer>>;
}

/** The largest page of a list that we ask for is a few megabytes; what is beyond this is no answer of an API server. */
const bodySizeMaxBytes = 64 * 2 ** 20;

/** `mayWrite` is asked before everything but a GET, as late as it can be: the last moment at which somebody who lost the lead can be stopped. */
export function connectToApi(access: ClusterAccess, mayWrite: () => boolean = () => true): ApiConnection {
  const exchange = (request: ApiRequest, signal: AbortSignal) => exchangeWith(access, mayWrite, { request, signal });
  return {
    async send(request, { timeoutMs: leftMs, signal }) {
      // What is left of a longer wait has a fraction, which Node refuses here.
      const timeoutMs = Math.ceil(leftMs);
      const deadline = AbortSignal.timeout(timeoutMs);
      const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      try {
        const response = await exchange(request, either);
        const text = await textOf(response);
        const status = response.statusCode ?? 0;
        if (status < 200 || status > 299) {
          throw refusalOf(request, access, { status, text, retryAfter: response.headers['retry-after'] });
        }
        return { status, body: parseBody(text, request, access) };
      } catch (error) {
        throw noAnswer(error, { request, access, timedOut: deadline.aborted, timeoutMs });
      }
    },

    async open(request, { timeoutMs, signal }) {
      const accepted = new AbortController();
      const timer = setTimeout(() => accepted.abort(), timeoutMs);
      try {
        const response = await exchange(request, AbortSignal.any([signal, accepted.signal]));
        const status = response.statusCode ?? 0;
        if (status !== 200) {
          throw refusalOf(request, access, { status, text: await textOf(response), retryAfter: response.headers['retry-after'] });
        }
        return response;
      } catch (error) {
        throw noAnswer(error, { request, access, timedOut: accepted.signal.aborted, timeoutMs });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function exchangeWith(
  access: ClusterAccess,
  mayWrite: () => boolean,
  { request, signal }: { readonly request: ApiRequest; readonly signal: AbortSignal },
): Promise<IncomingMessage> {
  // Exec plugins and files may hang as well as a server.
  const { headers, connection } = await abortable(access.credentials(), signal);
  const url = urlOf(access, request);
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
  if (request.method !== 'GET' && !mayWrite()) {
    throw new ApiError(`${describe(request, access)}: not sent, because another replica may be the leader by now`, {
      ...{ status: 0, reason: 'NotLeading' },
    });
  }
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'http:' ? http : https).request(
      url,
      {
        ...connection,
        method: request.method,
        signal,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': 'flinkjob-operator',
          ...(body === undefined
            ? {}
            : { 'content-type': request.contentType ?? 'application/json', 'content-length': String(body.length) }),
        },
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function urlOf(access: ClusterAccess, { path, query = {} }: ApiRequest): URL {
  const url = new URL(access.server);
  url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      url.searchParams.set(name, value);
    }
  }
  return url;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > bodySizeMaxBytes) {
      throw new Error(`the answer is longer than ${bodySizeMaxBytes} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseBody(text: string, request: ApiRequest, access: ClusterAccess): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError(`${describe(request, access)}: the answer is not JSON; is something else than an API server there?`, {
      ...{ status: 0, reason: 'NoAnswer', cause },
    });
  }
}

function refusalOf(
  request: ApiRequest,
  access: ClusterAccess,
  { status, text, retryAfter }: { readonly status: number; readonly text: string; readonly retryAfter: string | undefined },
): ApiError {
  const { message, reason } = statusOf(text);
  const said = message ?? (text.slice(0, 200) || http.STATUS_CODES[status] || 'no reason was given');
  const seconds = Number(retryAfter);
  return new ApiError(`${describe(request, access)}: ${status} ${said}${remedyFor(status)}`, {
    status,
    said,
    reason: reason ?? reasons[status] ?? `HTTP${status}`,
    retryAfterMs: retryAfter === undefined || Number.isNaN(seconds) ? undefined : seconds * 1000,
  });
}

function noAnswer(
  error: unknown,
  context: {
    readonly request: ApiRequest;
    readonly access: ClusterAccess;
    readonly timedOut: boolean;
    readonly timeoutMs: number;
  },
): unknown {
  if (error instanceof ApiError) {
    return error;
  }
  const what = describe(context.request, context.access);
  return context.timedOut
    ? new ApiError(`${what}: no answer within ${context.timeoutMs} ms; is the API server overloaded, or a firewall in between?`, {
        ...{ status: 0, reason: 'Timeout', cause: error },
      })
    : new ApiError(`${what}: no answer (${(error as Error).message}); is the API server reachable from here?`, {
        ...{ status: 0, reason: 'NoAnswer', cause: error },
      });
}

function describe({ method, path, query }: ApiRequest, { server }: ClusterAccess): string {
  const watching = query?.['watch'] === 'true' ? ' (watch)' : '';
  return `${method} ${server.host}${path}${watching}`;
}

/** What proxies in between leave out. */
const reasons: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function remedyFor(status: number): string {
  switch (status) {
    case 401:
      return '. The credentials are not accepted: renew the kubeconfig, or look whether the service account still exists.';
    case 403:
      return '. Grant it in the role of the service account; the chart has all that is needed.';
    default:
      return '';
  }
}

function statusOf(text: string): { readonly message?: string; readonly reason?: string } {
  try {
    const { kind, message, reason } = JSON.parse(text) as { kind?: string; message?: string; reason?: string };
    return kind === 'Status' ? { ...(message ? { message } : {}), ...(reason ? { reason } : {}) } : {};
  } catch {
    // Of a proxy or a load balancer; its text is shown as it is.
    return {};
  }
}
