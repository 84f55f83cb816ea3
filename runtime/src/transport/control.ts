import {
  Client,
  type ClientDuplexStream,
  credentials as channelCredentials,
  connectivityState,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { JobError, toErrorInfo } from '../core/job-error.ts';
import type {
  Connection,
  JobManagerConnection,
  JobManagerMessage,
  TaskManagerConnection,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import { answerConnection, proveConnection } from '../credentials/connection-proofs.ts';
import type { Credentials } from '../credentials/credentials.ts';
import {
  Control,
  type JobManagerMessage as JobManagerWire,
  type TaskManagerMessage as TaskManagerWire,
} from '../gen/flinkjob/runtime/v1/control_pb.ts';
import {
  decodeJobManagerMessage,
  decodeTaskManagerMessage,
  encodeJobManagerMessage,
  encodeTaskManagerMessage,
} from './control-codec.ts';
import { grpcChannelOptions, toMethodDefinition, toServiceDefinition } from './grpc-adapter.ts';

/** How long a side that closed waits for the other to end the stream before it resets it. */
const closeTimeoutMs = 2_000;
/** For a JobManager to prove itself on an open connection; it only has to look at a token. */
const answerTimeoutMs = 5_000;
/** A connection without a stream, which a TaskManager opens at once. One that does not even speak HTTP/2 is found by the pings, sooner. */
const idleTimeoutMs = 30_000;
/** A TaskManager has one. */
const streamsOfConnectionMax = 4;

/** In the head of the stream, before any message: the proof of the TaskManager, and the JobManager's answer. */
const proofHeader = 'flinkjob-proof';
const answerHeader = 'flinkjob-answer';

export interface TaskManagerListener {
  /** `host:port` as bound. */
  readonly address: string;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/**
 * The JobManager's side: calls `onConnection` once per TaskManager that connects, before any of its messages. With credentials nothing is read of a stream that does
 * not begin with the proof of a TaskManager.
 */
export async function listenForTaskManagers(options: {
  readonly host: string;
  readonly port: number;
  readonly credentials?: Credentials | undefined;
  readonly onConnection: (connection: TaskManagerConnection) => void;
}): Promise<TaskManagerListener> {
  const server = new Server({
    ...grpcChannelOptions,
    'grpc.max_connection_idle_ms': idleTimeoutMs,
    'grpc.max_concurrent_streams': streamsOfConnectionMax,
  });
  const connections = new Set<TaskManagerConnection>();
  server.addService(toServiceDefinition(Control), {
    connect: (call: ServerDuplexStream<TaskManagerWire, object>) => {
      if (options.credentials !== undefined && !answerProof(call, options.credentials)) {
        return;
      }
      const connection = new StreamConnection<JobManagerMessage, TaskManagerMessage>({
        stream: call,
        write: (message) => call.write(encodeJobManagerMessage(message)),
        decode: (message) => decodeTaskManagerMessage(message as TaskManagerWire),
        reset: () => call.destroy(),
        onClosed: () => connections.delete(connection),
      });
      connections.add(connection);
      options.onConnection(connection);
    },
  });
  const address = await bindServer(server, options);
  return {
    address,
    close: async () => {
      for (const connection of [...connections]) {
        connection.close('the JobManager ends');
      }
      await shutDownServer(server);
    },
  };
}

/** False when the stream is refused; nothing of it was read. */
function answerProof(call: ServerDuplexStream<TaskManagerWire, object>, credentials: Credentials): boolean {
  const [token] = call.metadata.get(proofHeader);
  try {
    const answer = answerConnection(credentials, typeof token === 'string' ? token : undefined, {
      audience: 'Control',
      peer: call.getPeer(),
    });
    const metadata = new Metadata();
    metadata.set(answerHeader, answer);
    call.sendMetadata(metadata);
    return true;
  } catch (error) {
    const { code, message, remedy } = toErrorInfo(error);
    const isForbidden = code === 'CredentialForbidden';
    call.emit(
      'error',
      Object.assign(new Error(message), {
        code: isForbidden ? status.PERMISSION_DENIED : status.UNAUTHENTICATED,
        details: `${code}: ${message}. ${remedy ?? ''}`,
      }),
    );
    return false;
  }
}

/**
 * The TaskManager's side. Rejects with a JobError when nobody answers at the address, or somebody who cannot prove to be the JobManager of this job: neither is told
 * anything, nor heard.
 */
export async function connectToJobManager(address: string, credentials?: Credentials): Promise<JobManagerConnection> {
  const client = new Client(address, channelCredentials.createInsecure(), grpcChannelOptions);
  let call: ClientDuplexStream<object, object>;
  try {
    await clientReady(client, { address, timeoutMs: connectTimeoutMs, what: 'JobManager' });
    call = await openCall(client, address, credentials);
  } catch (error) {
    client.close();
    throw error;
  }
  return new StreamConnection<TaskManagerMessage, JobManagerMessage>({
    stream: call,
    write: (message) => call.write(encodeTaskManagerMessage(message)),
    decode: (message) => decodeJobManagerMessage(message as JobManagerWire),
    reset: () => call.cancel(),
    onClosed: () => client.close(),
  });
}

async function openCall(
  client: Client,
  address: string,
  credentials: Credentials | undefined,
): Promise<ClientDuplexStream<object, object>> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(Control.method.connect);
  const proof = credentials && proveConnection(credentials, { audience: 'Control', listener: 'JobManager' });
  const metadata = new Metadata();
  if (proof !== undefined) {
    metadata.set(proofHeader, proof.token);
  }
  const call: ClientDuplexStream<object, object> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  if (proof === undefined) {
    return call;
  }
  const answered = Promise.withResolvers<Metadata>();
  const refuse = (why: string) => answered.reject(unproven(address, why));
  const onError = (error: ServiceError) => refuse(error.details || error.message);
  const timer = setTimeout(() => refuse(`no answer within ${answerTimeoutMs / 1000} s`), answerTimeoutMs);
  call.once('metadata', answered.resolve);
  call.on('error', onError);
  try {
    const [answer] = (await answered.promise).get(answerHeader);
    proof.checkAnswer(typeof answer === 'string' ? answer : undefined);
  } catch (error) {
    call.cancel();
    throw error instanceof JobError && error.code === unprovenCode ? error : unproven(address, toErrorInfo(error).message, error);
  } finally {
    clearTimeout(timer);
  }
  // Whoever has the call now listens before anything else can happen.
  call.off('error', onError);
  return call;
}

const unprovenCode = 'JobManagerUnproven';

function unproven(address: string, why: string, cause?: unknown): JobError {
  return new JobError(`at ${address} is nobody who is, and takes us for, a part of this job: ${why}`, {
    ...{ domain: 'external', retry: 'backoff', code: unprovenCode, cause },
    remedy: 'See that all processes of the job have its keys, and that the clocks of their machines agree.',
  });
}

const connectTimeoutMs = 3_000;

interface StreamConnectionOptions<Out, In> {
  readonly stream: ClientDuplexStream<object, object> | ServerDuplexStream<TaskManagerWire, object>;
  readonly write: (message: Out) => void;
  readonly decode: (message: object) => In;
  readonly reset: () => void;
  readonly onClosed: () => void;
}

class StreamConnection<Out, In> implements Connection<Out, In> {
  readonly #options: StreamConnectionOptions<Out, In>;
  #handlers: Parameters<Connection<Out, In>['listen']>[0] | undefined;
  /** What arrived before `listen`; a peer sends little before it is answered. */
  #early: In[] = [];
  #closeReason: string | undefined;

  constructor(options: StreamConnectionOptions<Out, In>) {
    this.#options = options;
    const { stream } = options;
    stream.on('data', (message: object) => this.#receive(message));
    stream.on('error', (error: ServiceError) => this.#end(error.details || error.message));
    stream.on('end', () => {
      stream.end();
      this.#end('the other side closed the connection');
    });
    stream.on('close', () => this.#end('the connection was reset'));
    stream.on('cancelled', () => this.#end('the connection was reset'));
  }

  send(message: Out): void {
    if (this.#closeReason === undefined) {
      this.#options.write(message);
    }
  }

  listen(handlers: Parameters<Connection<Out, In>['listen']>[0]): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const message of early) {
      handlers.onMessage(message);
    }
    if (this.#closeReason !== undefined) {
      handlers.onClose(this.#closeReason);
    }
  }

  close(reason: string): void {
    if (this.#closeReason === undefined) {
      // Flushes what was sent; the reset is for a peer that does not answer any more.
      this.#options.stream.end();
      setTimeout(() => this.#options.reset(), closeTimeoutMs).unref();
      this.#end(reason);
    }
  }

  #receive(wireMessage: object): void {
    if (this.#closeReason !== undefined) {
      return;
    }
    let message: In;
    try {
      message = this.#options.decode(wireMessage);
    } catch (error) {
      this.close(`unreadable message: ${error instanceof Error ? error.message : error}`);
      return;
    }
    if (this.#handlers === undefined) {
      this.#early.push(message);
    } else {
      this.#handlers.onMessage(message);
    }
  }

  #end(reason: string): void {
    if (this.#closeReason === undefined) {
      this.#closeReason = reason;
      this.#options.onClosed();
      this.#handlers?.onClose(reason);
    }
  }
}

/** Listens and gives the bound `host:port`; a port that is taken is a JobError that names it. */
function bindServer(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<string> {
  const authority = host.includes(':') ? `[${host}]` : host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${authority}:${port}`, ServerCredentials.createInsecure(), (error, boundPort) => {
      if (error) {
        reject(
          new JobError(`cannot listen on ${authority}:${port}: ${error.message}`, {
            domain: 'external',
            retry: 'backoff',
            code: 'AddressUnavailable',
            remedy: 'Free the port or choose another; port 0 lets the system choose.',
            cause: error,
          }),
        );
      } else {
        resolve(`${authority}:${boundPort}`);
      }
    });
  });
}

/** Lets calls end by themselves for a moment, then resets them. */
function shutDownServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), closeTimeoutMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Rejects at the first failed attempt: the caller knows better when to try again, and where. */
function clientReady(
  client: Client,
  { address, timeoutMs, what }: { readonly address: string; readonly timeoutMs: number; readonly what: string },
): Promise<void> {
  const channel = client.getChannel();
  const deadline = Date.now() + timeoutMs;
  return new Promise((resolve, reject) => {
    const refuse = (cause?: Error) =>
      reject(
        new JobError(`no ${what} answers at ${address}`, {
          domain: 'external',
          retry: 'backoff',
          code: `${what}Unreachable`,
          cause,
        }),
      );
    const look = () => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) {
        resolve();
      } else if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
        refuse();
      } else {
        channel.watchConnectivityState(state, deadline, (error) => (error ? refuse(error) : look()));
      }
    };
    look();
  });
}
