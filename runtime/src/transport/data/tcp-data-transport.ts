import { connect, createServer, type Server, type Socket } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { JobError, toErrorInfo } from '../../core/job-error.ts';
import { ChannelFrameSchema, CreditsSchema, ProducerHelloSchema } from '../../gen/flinkjob/runtime/v1/exchange_pb.ts';
import { decodeToken, encodeToken } from '../control-codec.ts';
import { decodeFrame, encodeFrame } from './channel-frame-codec.ts';
import type { ChannelFrame, DataListener, DataTransport, IncomingStream, OutgoingStream } from './data-transport.ts';
import { MessageReader, type TcpMessage, writeMessage } from './tcp-message.ts';

/** Pages as they are on a TCP connection of their own; everything else on it in the contract's messages. */
export const tcpDataTransport: DataTransport = {
  listen: ({ host, port, onStream }) => listen({ host, port, onStream }),
  open: (options) => new Promise((resolve, reject) => openStream(options, resolve, reject)),
};

/** Of a message. Never given another meaning. */
const kinds = { hello: 1, accepted: 2, closed: 3, page: 4, frame: 5, credits: 6 } as const;

const connectTimeoutMs = 5_000;
/** A connection that says nothing is not a TaskManager. */
const helloTimeoutMs = 10_000;

const empty = new Uint8Array();

async function listen(options: Parameters<DataTransport['listen']>[0]): Promise<DataListener> {
  const { host, port, onStream } = options;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    receive(socket, onStream);
  });
  await bind(server, { host, port });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    close: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function bind(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new JobError(`cannot listen on ${host}:${port}: ${cause.message}`, {
          domain: 'external',
          retry: 'backoff',
          code: 'AddressUnavailable',
          remedy: 'Free the port or choose another; port 0 lets the system choose.',
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
}

function openStream(
  options: Parameters<DataTransport['open']>[0],
  resolve: (stream: OutgoingStream) => void,
  reject: (error: unknown) => void,
): void {
  const { address, hello, signal, onCredits, onLost } = options;
  let state: 'Opening' | 'Open' | 'Closed' = 'Opening';
  const socket = connect({ ...parseAddress(address), noDelay: true, keepAlive: true });
  const end = (reason: string): void => {
    const before = state;
    state = 'Closed';
    signal.removeEventListener('abort', abort);
    socket.destroy();
    if (before === 'Opening') {
      reject(refused(address, reason));
    } else if (before === 'Open') {
      onLost(reason);
    }
  };
  const abort = (): void => end('aborted');
  socket.setTimeout(connectTimeoutMs, () => end(`no connection within ${connectTimeoutMs / 1000} s`));
  socket.once('connect', () => {
    // The answer may take as long as the consumer's deployment; whoever opens gives up by its signal.
    socket.setTimeout(0);
    const body = toBinary(ProducerHelloSchema, create(ProducerHelloSchema, { ...hello, token: encodeToken(hello.token) }));
    writeMessage(socket, { kind: kinds.hello, body });
  });
  const stream: OutgoingStream = {
    send: (frames) => {
      if (state === 'Open') {
        socket.cork();
        for (const frame of frames) {
          sendFrame(socket, frame);
        }
        socket.uncork();
      }
    },
    close: () => {
      if (state !== 'Closed') {
        state = 'Closed';
        signal.removeEventListener('abort', abort);
        socket.destroy();
      }
    },
  };
  readMessages(socket, end, (message) => {
    if (message.kind === kinds.accepted && state === 'Opening') {
      state = 'Open';
      resolve(stream);
    } else if (message.kind === kinds.credits && state === 'Open') {
      onCredits(fromBinary(CreditsSchema, message.body).credits);
    } else if (message.kind === kinds.closed) {
      end(Buffer.from(message.body).toString());
    } else {
      end(`a message of kind ${message.kind} out of turn`);
    }
  });
  socket.once('error', (error) => end(error.message));
  socket.once('close', () => end('the consumer ended the stream'));
  signal.addEventListener('abort', abort);
  if (signal.aborted) {
    abort();
  }
}

function receive(socket: Socket, onStream: (stream: IncomingStream) => void): void {
  let handlers: Parameters<IncomingStream['accept']>[0] | undefined;
  let greeted = false;
  let closed = false;
  let lostReason: string | undefined;
  const lose = (reason: string): void => {
    socket.destroy();
    if (!closed) {
      closed = true;
      lostReason = reason;
      handlers?.onLost(reason);
    }
  };
  const stream = (body: Uint8Array): IncomingStream => {
    const { token, taskManagerId } = fromBinary(ProducerHelloSchema, body);
    return {
      hello: { token: decodeToken(token), taskManagerId },
      accept: (given) => {
        handlers = given;
        if (lostReason !== undefined) {
          given.onLost(lostReason);
        } else if (!closed) {
          writeMessage(socket, { kind: kinds.accepted, body: empty });
        }
      },
      sendCredits: (credits) => {
        if (!closed) {
          const message = create(CreditsSchema, { credits: credits.map(({ channel, pages }) => ({ channel, pages })) });
          writeMessage(socket, { kind: kinds.credits, body: toBinary(CreditsSchema, message) });
        }
      },
      close: (reason) => {
        if (!closed) {
          closed = true;
          writeMessage(socket, { kind: kinds.closed, body: Buffer.from(reason) });
          socket.end();
        }
      },
    };
  };
  socket.setTimeout(helloTimeoutMs, () => lose('no hello'));
  let frames: ChannelFrame[] = [];
  const take = (message: TcpMessage): void => {
    if (closed) {
      return;
    }
    if (message.kind === kinds.hello && !greeted) {
      greeted = true;
      socket.setTimeout(0);
      onStream(stream(message.body));
    } else if (handlers !== undefined && (message.kind === kinds.page || message.kind === kinds.frame)) {
      frames.push(toFrame(message));
    } else {
      lose(`a message of kind ${message.kind} out of turn`);
    }
  };
  // What arrives together is handed on together: a message to a thread costs more than a page.
  readMessages(socket, lose, take, () => {
    if (frames.length > 0) {
      const arrived = frames;
      frames = [];
      handlers?.onFrames(arrived);
    }
  });
  socket.once('error', (error) => lose(error.message));
  socket.once('close', () => lose('the producer reset the stream'));
}

function readMessages(
  socket: Socket,
  fail: (reason: string) => void,
  onMessage: (message: TcpMessage) => void,
  onChunkEnd: () => void = () => {},
): void {
  const reader = new MessageReader(onMessage);
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.read(chunk);
      onChunkEnd();
    } catch (error) {
      fail(toErrorInfo(error).message);
    }
  });
}

function sendFrame(socket: Socket, frame: ChannelFrame): void {
  if (frame.type === 'Page') {
    writeMessage(socket, { kind: kinds.page, channel: frame.channel, count: frame.recordCount, body: frame.records });
  } else {
    writeMessage(socket, {
      kind: kinds.frame,
      body: toBinary(ChannelFrameSchema, create(ChannelFrameSchema, encodeFrame(frame))),
    });
  }
}

function toFrame({ kind, channel, count, body }: TcpMessage): ChannelFrame {
  return kind === kinds.page
    ? { type: 'Page', channel, recordCount: count, records: body }
    : decodeFrame(fromBinary(ChannelFrameSchema, body));
}

/** `host:port`, an IPv6 host in brackets. */
function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) };
}

function refused(address: string, reason: string): JobError {
  return new JobError(`the TaskManager at ${address} refused the record stream: ${reason}`, {
    domain: 'external',
    retry: 'backoff',
    code: 'RecordStreamRefused',
  });
}
