import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

/** Only for a port that keeps a connection for ever. */
const limitMs = 60_000;

/** What somebody who knows the port, and nothing else, gets from it. `closed` is said of a connection that ends without an answer in the language that was spoken. */
export interface PortView {
  readonly get: string;
  readonly post: string;
  readonly grpc: string;
  readonly noise: string;
  readonly silence: string;
}

export async function viewOf(port: number, paths: { readonly get: string; readonly post: string }): Promise<PortView> {
  const [get, post, grpc, noise, silence] = await Promise.all([
    http(port, 'GET', paths.get),
    http(port, 'POST', paths.post),
    grpcCall(port),
    raw(port, Buffer.alloc(64, 0xff)),
    raw(port, Buffer.alloc(0)),
  ]);
  return { get, post, grpc, noise, silence };
}

async function http(port: number, method: string, path: string): Promise<string> {
  const body = method === 'POST' ? '{}' : '';
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  return raw(port, Buffer.from(head + body));
}

/** Sends it, and waits for the end of the connection. */
async function raw(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // A reset is an end like another.
  socket.on('error', () => {});
  socket.setTimeout(limitMs, () => socket.destroy(new Error('kept open')));
  let isKept = false;
  socket.once('timeout', () => {
    isKept = true;
  });
  if (bytes.length > 0) {
    socket.write(bytes);
  }
  await once(socket, 'close');
  const status = /^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(chunks).toString('latin1'))?.[1];
  return isKept ? 'kept open' : status === undefined ? 'closed' : `HTTP ${status}`;
}

/** As a TaskManager opens its stream, with a message at once. */
async function grpcCall(port: number): Promise<string> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const outcome = Promise.withResolvers<string>();
  session.on('error', () => outcome.resolve('closed'));
  session.on('close', () => outcome.resolve('closed'));
  const call = session.request({
    ...{ ':method': 'POST', ':path': '/flinkjob.runtime.v1.Control/Connect' },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  });
  const take = (headers: Readonly<Record<string, unknown>>) => {
    if (headers['grpc-status'] !== undefined) {
      outcome.resolve(`gRPC status ${headers['grpc-status']}`);
    }
  };
  call.on('response', take);
  call.on('trailers', take);
  call.on('error', () => outcome.resolve('closed'));
  call.write(Buffer.from([0, 0, 0, 0, 0]));
  call.resume();
  const timer = setTimeout(() => outcome.resolve('kept open'), limitMs);
  try {
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}
