import { connect, createServer, type Server, type Socket } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { JobError, toErrorInfo } from '../../core/job-error.ts';
import { answerConnection, type ConnectionProof, proveConnection } from '../../credentials/connection-proofs.ts';
import type { Credentials } from '../../credentials/credentials.ts';
import { ChannelFrameSchema, CreditsSchema, ProducerHelloSchema } from '../../gen/flinkjob/runtime/v1/exchange_pb.ts';
import { decodeToken, encodeToken } from '../control-codec.ts';
import { decodeFrame, encodeFrame } from './channel-frame-codec.ts';
import type { ChannelFrame, DataListener, DataTransport, IncomingStream, OutgoingStream } from './data-transport.ts';
import { bodySizeBytesMax, MessageReader, type TcpMessage, writeMessage } from './tcp-message.ts';

/**
 * Pages as they are on a TCP connection of their own; everything else on it in the contract's messages. With credentials each connection begins with a proof of
 * its producer and the answer of its consumer, once for all that follows.
 */
export function tcpDataTransportWith(credentials: Credentials | undefined): DataTransport {
  return {
    listen: (options) => listen(options, credentials),
    open: (options) => new Promise((resolve, reject) => openStream({ ...options, credentials }, resolve, reject)),
  };
}

/** For processes whose network nobody else reaches. */
export const tcpDataTransport: DataTransport = tcpDataTransportWith(undefined);

/** Of a message. Never given another meaning. */
const kinds = { hello: 1, accepted: 2, closed: 3, page: 4, frame: 5, credits: 6, proof: 7, answer: 8 } as const;

const connectTimeoutMs = 5_000;
/** For a connection to say who it is, from its first moment and however busily it sends: one that does not is no TaskManager. */
const greetingTimeoutMs = 10_000;
/** Of each message until then; a token has 1 KiB at the most, a hello little more than the name of a pod. */
const greetingSizeBytesMax = 2 * 1024;
/**
 * Connections that have not said yet who they are. A TaskManager needs milliseconds for it, so when there are more, it is the oldest one that has to go: whoever
 * opens many and stays silent only gets in its own way.
 */
const unknownConnectionCountMax = 256;

const empty = new Uint8Array();

async function listen(
  options: Parameters<DataTransport['listen']>[0],
  credentials: Credentials | undefined,
): Promise<DataListener> {
  const { host, port, onStream } = options;
  const sockets = new Set<Socket>();
  /** Oldest first. */
  const unknown = new Set<Socket>();
  let address = '';
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    unknown.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      unknown.delete(socket);
    });
    if (unknown.size > unknownConnectionCountMax) {
      const [oldest] = unknown;
      oldest?.destroy();
    }
    receive(socket, {
      answer:
        credentials &&
        ((token) => answerConnection(credentials, token, { audience: 'Data', address, peer: socket.remoteAddress })),
      onStream: (stream) => {
        unknown.delete(socket);
        onStream(stream);
      },
    });
  });
  await bind(server, { host, port });
  const bound = server.address();
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
  address = `${host.includes(':') ? `[${host}]` : host}:${boundPort}`;
  return {
    address,
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
  options: Parameters<DataTransport['open']>[0] & { readonly credentials: Credentials | undefined },
  resolve: (stream: OutgoingStream) => void,
  reject: (error: unknown) => void,
): void {
  const { address, hello, signal, onCredits, onLost, credentials } = options;
  let proof: ConnectionProof | undefined;
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
    if (credentials === undefined) {
      greet();
      return;
    }
    try {
      proof = proveConnection(credentials, { audience: 'Data', listener: 'TaskManager', address });
      writeMessage(socket, { kind: kinds.proof, body: Buffer.from(proof.token) });
    } catch (error) {
      end(toErrorInfo(error).message);
    }
  });
  const greet = (): void => {
    const body = toBinary(ProducerHelloSchema, create(ProducerHelloSchema, { ...hello, token: encodeToken(hello.token) }));
    writeMessage(socket, { kind: kinds.hello, body });
  };
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
  let isProven = credentials === undefined;
  readMessages(socket, end, (message) => {
    if (message.kind === kinds.answer && proof !== undefined && !isProven) {
      // What it throws ends the stream.
      proof.checkAnswer(Buffer.from(message.body).toString());
      isProven = true;
      greet();
    } else if (message.kind === kinds.accepted && state === 'Opening' && isProven) {
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

interface Reception {
  /** To a producer's token; throws when it proves nothing. Undefined where nobody has to prove anything. */
  readonly answer: ((token: string) => string) | undefined;
  readonly onStream: (stream: IncomingStream) => void;
}

function receive(socket: Socket, { answer, onStream }: Reception): void {
  let isProven = answer === undefined;
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
  /** With a word why: most often it is a TaskManager of this job whose keys or clock are behind. */
  const refuse = (reason: string): void => {
    if (!greeted && !closed) {
      closed = true;
      writeMessage(socket, { kind: kinds.closed, body: Buffer.from(reason) });
      socket.destroySoon();
    } else {
      lose(reason);
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
  const greeting = setTimeout(() => lose('no hello'), greetingTimeoutMs);
  socket.once('close', () => clearTimeout(greeting));
  let frames: ChannelFrame[] = [];
  const take = (message: TcpMessage): void => {
    if (closed) {
      return;
    }
    if (message.kind === kinds.proof && !isProven && answer !== undefined) {
      writeMessage(socket, { kind: kinds.answer, body: Buffer.from(answer(Buffer.from(message.body).toString())) });
      isProven = true;
    } else if (message.kind === kinds.hello && !greeted && isProven) {
      greeted = true;
      clearTimeout(greeting);
      reader.sizeBytesMax = bodySizeBytesMax;
      onStream(stream(message.body));
    } else if (handlers !== undefined && (message.kind === kinds.page || message.kind === kinds.frame)) {
      frames.push(toFrame(message));
    } else {
      refuse(`a message of kind ${message.kind} out of turn`);
    }
  };
  // What arrives together is handed on together: a message to a thread costs more than a page.
  const reader = readMessages(socket, refuse, take, {
    sizeBytesMax: greetingSizeBytesMax,
    onChunkEnd: () => {
      if (frames.length > 0) {
        const arrived = frames;
        frames = [];
        handlers?.onFrames(arrived);
      }
    },
  });
  socket.once('error', (error) => lose(error.message));
  socket.once('close', () => lose('the producer reset the stream'));
}

function readMessages(
  socket: Socket,
  fail: (reason: string) => void,
  onMessage: (message: TcpMessage) => void,
  options: { readonly sizeBytesMax?: number; readonly onChunkEnd?: () => void } = {},
): MessageReader {
  const reader = new MessageReader(onMessage, options.sizeBytesMax);
  const { onChunkEnd = () => {} } = options;
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.read(chunk);
      onChunkEnd();
    } catch (error) {
      fail(toErrorInfo(error).message);
    }
  });
  return reader;
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
