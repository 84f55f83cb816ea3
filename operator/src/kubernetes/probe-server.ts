import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { JobError } from '@flinkjob/runtime/rest';
import type { Metrics } from './metrics.ts';

/** Why this replica can do nothing yet, or any more; undefined when it works or waits for its turn to lead. */
export type Readiness = () => string | undefined;

export interface ProbeServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/**
 * Kubelets and Prometheus ask a few times a minute over few connections. When there are more, the oldest goes and not the new one: whoever opens many gets in his own way, and the probes,
 * by which this pod lives, come through.
 */
const connectionsMax = 64;
const requestTimeoutMs = 10_000;
/** Between looks at what has not arrived in time. */
const connectionsCheckingIntervalMs = 5_000;

/**
 * What kubelets and Prometheus ask: `/livez` (and `/healthz`, its older name) is answered whenever the event loop turns, `/readyz` by `readiness`. Nothing
 * here can be changed by a request.
 */
export async function startProbeServer(options: {
  readonly address: { readonly host: string; readonly port: number };
  readonly readiness: Readiness;
  readonly metrics: Metrics;
}): Promise<ProbeServer> {
  const { address, readiness, metrics } = options;
  const server = createServer(
    {
      ...{ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
      connectionsCheckingInterval: connectionsCheckingIntervalMs,
    },
    (request, response) => answer(request, response, { readiness, metrics }),
  );
  limitConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new JobError(`--http-address=${address.host}:${address.port} cannot be listened on: ${cause.message}`, {
          ...{ domain: 'user', retry: 'never', code: 'HttpAddressUnusable', cause },
          remedy: 'Name an address of this host and a port that is free.',
        }),
      ),
    );
    server.listen({ host: address.host, port: address.port }, resolve);
  });
  const { address: host, port } = server.address() as AddressInfo;
  return {
    host,
    port,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function limitConnections(server: Server): void {
  /** Oldest first. */
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (sockets.size > connectionsMax) {
      const [oldest] = sockets;
      oldest?.destroy();
    }
  });
}

function answer(
  { method, url = '/' }: IncomingMessage,
  response: ServerResponse,
  { readiness, metrics }: { readonly readiness: Readiness; readonly metrics: Metrics },
): void {
  const send = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(method === 'HEAD' ? undefined : text);
  if (method !== 'GET' && method !== 'HEAD') {
    send(405, 'only GET\n');
    return;
  }
  switch (url.split('?')[0]) {
    case '/livez':
    case '/healthz':
      send(200, 'ok\n');
      return;
    case '/readyz': {
      const hindrance = readiness();
      send(hindrance === undefined ? 200 : 503, `${hindrance ?? 'ok'}\n`);
      return;
    }
    case '/metrics':
      send(200, metrics.text(), 'text/plain; version=0.0.4; charset=utf-8');
      return;
    default:
      send(404, 'there are /livez, /readyz and /metrics\n');
  }
}
