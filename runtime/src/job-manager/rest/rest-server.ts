import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { JobError, toErrorInfo } from '../../core/job-error.ts';
import type { Credentials } from '../../credentials/credentials.ts';
import { verifyRestCall } from '../../credentials/rest-authorization.ts';
import type { Log } from '../../log.ts';
import { notFound, notFoundCode } from './not-found.ts';
import { invalidRequest } from './request-bodies.ts';
import type { RestAnswer, Route } from './route.ts';

/** No body that we understand is nearly as long. */
const bodySizeBytesMax = 64 * 1024;
/** For a whole request to arrive; everything is answered from memory at once. */
const requestTimeoutMs = 10_000;
/** Between looks at what has not arrived in time, a connection that says nothing among them. */
const connectionsCheckingIntervalMs = 5_000;
/**
 * Controllers, Prometheus, probes and some people with a dashboard; this process keeps its files for its job. When there are more, the oldest connection goes and not the new
 * one: whoever opens many gets in his own way, and the probes, by which a pod lives, come through.
 */
const connectionCountMax = 512;

export interface RestServer {
  /** `host:port` as bound. */
  readonly address: string;
  close(): Promise<void>;
}

export interface RestServerOptions {
  readonly host: string;
  readonly port: number;
  readonly log: Log;
  /** What changes something needs a token that these accept. Without them everybody may, as on a laptop. */
  readonly credentials?: Credentials | undefined;
  /** Asked at every request: what is served may change (first nothing but the state, then the job). */
  readonly routes: () => { readonly jobId: string; readonly routes: readonly Route[] };
}

/** Listens; a port that is taken is a `JobError` that names it. */
export async function startRestServer(options: RestServerOptions): Promise<RestServer> {
  const { host, port } = options;
  const server = createServer(
    {
      ...{ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
      connectionsCheckingInterval: connectionsCheckingIntervalMs,
    },
    (request, response) => {
      // Not awaited: `serve` answers every failure itself.
      void serve(options, request, response);
    },
  );
  limitConnections(server);
  await listen(server, { host, port });
  const bound = server.address() as AddressInfo;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function limitConnections(server: Server): void {
  /** Oldest first. */
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (sockets.size > connectionCountMax) {
      const [oldest] = sockets;
      oldest?.destroy();
    }
  });
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message;
      reject(
        new JobError(`rest: cannot listen on ${host}:${port}: ${why}`, {
          domain: 'external',
          retry: 'backoff',
          code: cause.code === 'EADDRINUSE' ? 'PortInUse' : 'AddressUnavailable',
          remedy: 'End the process that holds the port, or choose another one; port 0 lets the system choose.',
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}

async function serve(options: RestServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: RestAnswer;
  try {
    answer = await dispatch(options, request);
  } catch (error) {
    answer = errorAnswer(error);
    if (answer.status >= 500) {
      options.log.error({ err: error, method: request.method, url: request.url }, 'a REST request failed');
    }
  }
  const { text, contentType } =
    'text' in answer ? answer : { text: JSON.stringify(answer.document), contentType: 'application/json; charset=UTF-8' };
  response.writeHead(answer.status, {
    'content-type': contentType,
    'cache-control': 'no-store',
    ...(answer.status === 401 ? { 'www-authenticate': 'FlinkJob' } : {}),
    // The rest of a body that was refused is not waited for.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(withoutUserInfo(text));
}

/**
 * Everybody may read. What we serve has no secrets in it by itself, but messages of clients and drivers quote the URL that they were given, and a URL can hold a
 * password.
 */
function withoutUserInfo(text: string): string {
  return text.replaceAll(/:\/\/[^\s/?#@"'<>\\]{1,512}@/g, '://***@');
}

async function dispatch({ routes, credentials }: RestServerOptions, request: IncomingMessage): Promise<RestAnswer> {
  const url = parseUrl(request.url ?? '/');
  const served = routes();
  const matches = served.routes.flatMap((route) => {
    const parameters = matchPath(route.path, url.pathname);
    return parameters === undefined ? [] : [{ route, parameters }];
  });
  const match = matches.find(({ route }) => route.method === request.method);
  if (match === undefined) {
    throw matches.length === 0
      ? notFound(`Not found: ${url.pathname}`, 'GET /jobs lists the job, and /v1/status says how it is.')
      : methodNotAllowed(
          request.method,
          url.pathname,
          matches.map(({ route }) => route.method),
        );
  }
  const { jobId } = match.parameters;
  if (jobId !== undefined && jobId !== served.jobId) {
    throw notFound(`Job ${jobId} not found`, `This JobManager runs the one job ${served.jobId}.`);
  }
  const body = match.route.method === 'GET' ? '' : await readAuthorized(request, credentials);
  return match.route.handle({ parameters: match.parameters, query: url.searchParams, body });
}

async function readAuthorized(request: IncomingMessage, credentials: Credentials | undefined): Promise<string> {
  if (credentials === undefined) {
    return readBody(request);
  }
  const { method = '', url: path = '/' } = request;
  const verifyBody = verifyRestCall(credentials, {
    ...{ method, path, authorization: request.headers.authorization },
    peer: request.socket.remoteAddress,
  });
  const body = await readBody(request);
  verifyBody(body);
  return body;
}

function parseUrl(text: string): URL {
  try {
    return new URL(text, 'http://localhost');
  } catch {
    throw invalidRequest(`${text} is no path`, 'Correct the URL.');
  }
}

/** Literal parts win over parameters because they stand first in the table: `/jobs/overview` before `/jobs/:jobId`. */
function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const expected = pattern.split('/');
  const found = (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path).split('/');
  if (expected.length !== found.length) {
    return undefined;
  }
  const parameters: Record<string, string> = {};
  for (const [index, part] of expected.entries()) {
    const value = found[index] ?? '';
    if (part.startsWith(':')) {
      parameters[part.slice(1)] = decode(value);
    } else if (part !== value) {
      return undefined;
    }
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidRequest(`${text} is not percent-encoded text`, 'Correct the URL.');
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bodySizeBytesMax) {
      throw new JobError(`the body is longer than ${bodySizeBytesMax} bytes`, {
        ...{ domain: 'user', retry: 'never', code: bodyTooLargeCode },
        remedy: 'No request to a JobManager is so long; look what is sent.',
      });
    }
    chunks.push(chunk);
  }
  // A page of another site can send forms and text without asking, but not JSON.
  if (sizeBytes > 0 && !/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw invalidRequest('content-type: the body must be application/json', 'Set the header content-type: application/json.');
  }
  return Buffer.concat(chunks).toString('utf8');
}

const bodyTooLargeCode = 'BodyTooLarge';
const methodNotAllowedCode = 'MethodNotAllowed';

function methodNotAllowed(method: string | undefined, path: string, allowed: readonly string[]): JobError {
  return new JobError(`${method} ${path} is not possible`, {
    ...{ domain: 'user', retry: 'never', code: methodNotAllowedCode },
    remedy: `Use ${[...new Set(allowed)].join(' or ')}.`,
  });
}

const statusByCode: Readonly<Record<string, number>> = {
  [notFoundCode]: 404,
  [methodNotAllowedCode]: 405,
  JobNotRunning: 409,
  SavepointUnknown: 404,
  [bodyTooLargeCode]: 413,
  InvalidRequest: 400,
  CredentialMissing: 401,
  CredentialRefused: 401,
  CredentialForbidden: 403,
  TooManySavepoints: 429,
};

/** Flink's clients read `errors`, ours read `error`. */
function errorAnswer(error: unknown): RestAnswer {
  const { stack: _stack, ...info } = toErrorInfo(error);
  const status = error instanceof JobError ? (statusByCode[error.code] ?? 500) : 500;
  const text = info.remedy === undefined ? info.message : `${info.message}. ${info.remedy}`;
  return { status, document: { errors: [text], error: info } };
}
