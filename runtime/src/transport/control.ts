import {
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { JobError } from '../core/job-error.ts';
import type {
  Connection,
  JobManagerConnection,
  JobManagerMessage,
  TaskManagerConnection,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
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

export interface TaskManagerListener {
  /** `host:port` as bound. */
  readonly address: string;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/** The JobManager's side: calls `onConnection` once per TaskManager that connects, before any of its messages. */
export async function listenForTaskManagers(options: {
  readonly host: string;
  readonly port: number;
  readonly onConnection: (connection: TaskManagerConnection) => void;
}): Promise<TaskManagerListener> {
  const server = new Server(grpcChannelOptions);
  const connections = new Set<TaskManagerConnection>();
  server.addService(toServiceDefinition(Control), {
    connect: (call: ServerDuplexStream<TaskManagerWire, object>) => {
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

/** The TaskManager's side. Rejects with a JobError when nobody answers at the address. */
export async function connectToJobManager(address: string): Promise<JobManagerConnection> {
  const client = new Client(address, credentials.createInsecure(), grpcChannelOptions);
  try {
    await clientReady(client, { address, timeoutMs: connectTimeoutMs, what: 'JobManager' });
  } catch (error) {
    client.close();
    throw error;
  }
  const method = toMethodDefinition(Control.method.connect);
  const call: ClientDuplexStream<object, object> = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  return new StreamConnection<TaskManagerMessage, JobManagerMessage>({
    stream: call,
    write: (message) => call.write(encodeTaskManagerMessage(message)),
    decode: (message) => decodeJobManagerMessage(message as JobManagerWire),
    reset: () => call.cancel(),
    onClosed: () => client.close(),
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
