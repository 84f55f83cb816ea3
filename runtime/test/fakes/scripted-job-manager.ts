import type { JobManagerMessage, TaskManagerConnection, TaskManagerMessage } from '../../src/core/protocol/messages.ts';
import { listenForTaskManagers, type TaskManagerListener } from '../../src/transport/control.ts';

type MessageOf<Type extends TaskManagerMessage['type']> = TaskManagerMessage & { readonly type: Type };

/** A JobManager that does only what a test says, over real connections. */
export class ScriptedJobManager {
  readonly #listener: TaskManagerListener;
  readonly #registered: Arrivals<ScriptedTaskManager>;

  constructor(listener: TaskManagerListener, registered: Arrivals<ScriptedTaskManager>) {
    this.#listener = listener;
    this.#registered = registered;
  }

  static async listen(): Promise<ScriptedJobManager> {
    const registered = new Arrivals<ScriptedTaskManager>();
    const listener = await listenForTaskManagers({
      host: '127.0.0.1',
      port: 0,
      onConnection: (connection) => {
        const taskManager = new ScriptedTaskManager(connection, () => registered.add(taskManager));
      },
    });
    return new ScriptedJobManager(listener, registered);
  }

  get address(): string {
    return this.#listener.address;
  }

  /** The next one that registers under this id; it still has to be answered. */
  taskManager(taskManagerId: string): Promise<ScriptedTaskManager> {
    return this.#registered.next((taskManager) => taskManager.registration.taskManagerId === taskManagerId);
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}

/** One connection of a TaskManager, from its registration. */
export class ScriptedTaskManager {
  readonly #connection: TaskManagerConnection;
  readonly #messages = new Arrivals<TaskManagerMessage>();
  readonly #closed = Promise.withResolvers<string>();
  #registration: MessageOf<'Register'> | undefined;

  constructor(connection: TaskManagerConnection, onRegistered: () => void) {
    this.#connection = connection;
    connection.listen({
      onMessage: (message) => {
        if (message.type === 'Register') {
          this.#registration = message;
          onRegistered();
        } else {
          this.#messages.add(message);
        }
      },
      onClose: (reason) => this.#closed.resolve(reason),
    });
  }

  get registration(): MessageOf<'Register'> {
    if (this.#registration === undefined) {
      throw new Error('not registered');
    }
    return this.#registration;
  }

  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  accept(options: { readonly epoch: number; readonly leaseMs?: number }): void {
    this.send({ type: 'Registered', epoch: options.epoch, heartbeatIntervalMs: 100, leaseMs: options.leaseMs ?? 60_000 });
  }

  send(message: JobManagerMessage): void {
    this.#connection.send(message);
  }

  close(): void {
    this.#connection.close('the test closes it');
  }

  /** The first message of a type that was not taken yet; others stay. */
  next<Type extends TaskManagerMessage['type']>(
    type: Type,
    matches: (message: MessageOf<Type>) => boolean = () => true,
  ): Promise<MessageOf<Type>> {
    return this.#messages.next((message) => message.type === type && matches(message as MessageOf<Type>)) as Promise<
      MessageOf<Type>
    >;
  }

  /** Messages that arrived and were not taken. */
  received<Type extends TaskManagerMessage['type']>(type: Type): readonly MessageOf<Type>[] {
    return this.#messages.waiting.filter((message) => message.type === type) as MessageOf<Type>[];
  }
}

/** What arrives, to be taken in any order. */
class Arrivals<T> {
  readonly #waiting: T[] = [];
  readonly #takers: { readonly matches: (item: T) => boolean; readonly resolve: (item: T) => void }[] = [];

  get waiting(): readonly T[] {
    return this.#waiting;
  }

  add(item: T): void {
    const taker = this.#takers.findIndex(({ matches }) => matches(item));
    if (taker < 0) {
      this.#waiting.push(item);
    } else {
      this.#takers.splice(taker, 1)[0]?.resolve(item);
    }
  }

  next(matches: (item: T) => boolean): Promise<T> {
    const found = this.#waiting.findIndex(matches);
    if (found >= 0) {
      return Promise.resolve(this.#waiting.splice(found, 1)[0] as T);
    }
    return new Promise((resolve) => {
      this.#takers.push({ matches, resolve });
    });
  }
}
