import type { Connection, JobManagerConnection, TaskManagerConnection } from '../../src/core/protocol/messages.ts';
import type { Random } from './random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface NetworkOptions {
  readonly time: VirtualTime;
  readonly random: Random;
  /** Whether the connection breaks with this message. */
  readonly breaksNow: () => boolean;
  readonly onSend: (message: object) => void;
}

/** Ordered connections between processes, with delays, that may break at any message. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #open = new Map<SimulatedProcess, Set<() => void>>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  connect(
    jobManager: SimulatedProcess,
    taskManager: SimulatedProcess,
  ): { readonly ofJobManager: TaskManagerConnection; readonly ofTaskManager: JobManagerConnection } {
    const atJobManager = new End<never, never>(jobManager, this.#options);
    const atTaskManager = new End<never, never>(taskManager, this.#options);
    atJobManager.peer = atTaskManager;
    atTaskManager.peer = atJobManager;
    for (const [process, peer] of [
      [jobManager, atTaskManager],
      [taskManager, atJobManager],
    ] as const) {
      const ends = this.#open.get(process) ?? new Set();
      ends.add(() => peer.lost('the other process died'));
      this.#open.set(process, ends);
    }
    return {
      ofJobManager: atJobManager as unknown as TaskManagerConnection,
      ofTaskManager: atTaskManager as unknown as JobManagerConnection,
    };
  }

  /** What the system does for a process that died: its peers hear of it, unless the whole machine is gone. */
  reset(process: SimulatedProcess): void {
    for (const tell of this.#open.get(process) ?? []) {
      tell();
    }
    this.#open.delete(process);
  }
}

interface Handlers<In> {
  readonly onMessage: (message: In) => void;
  readonly onClose: (reason: string) => void;
}

class End<Out, In> implements Connection<Out, In> {
  peer: End<In, Out> | undefined;
  readonly #process: SimulatedProcess;
  readonly #options: NetworkOptions;
  #handlers: Handlers<In> | undefined;
  #early: ((handlers: Handlers<In>) => void)[] = [];
  #closed = false;
  #closeTold = false;
  #lastArrivalMs = 0;

  constructor(process: SimulatedProcess, options: NetworkOptions) {
    this.#process = process;
    this.#options = options;
  }

  send(message: Out): void {
    if (this.#closed || this.#process.state === 'Dead') {
      return;
    }
    if (this.#options.breaksNow()) {
      this.close('the connection broke');
      return;
    }
    this.#options.onSend(message as object);
    this.peer?.receive((handlers) => handlers.onMessage(message));
  }

  listen(handlers: Handlers<In>): void {
    this.#handlers = handlers;
    for (const arrived of this.#early.splice(0)) {
      arrived(handlers);
    }
  }

  close(reason: string): void {
    this.lost(reason);
    this.peer?.lost(reason);
  }

  /** Noticed in order with the messages that were on their way, and late if the network is. */
  lost(reason: string): void {
    if (this.#closed) {
      return;
    }
    this.#arrive(() => {
      if (!this.#closeTold) {
        this.#closeTold = true;
        this.#hand((handlers) => handlers.onClose(reason));
      }
    });
    this.#closed = true;
  }

  receive(hand: (handlers: Handlers<In>) => void): void {
    if (!this.#closed) {
      this.#arrive(() => {
        if (!this.#closeTold) {
          this.#hand(hand);
        }
      });
    }
  }

  #hand(hand: (handlers: Handlers<In>) => void): void {
    if (this.#handlers === undefined) {
      this.#early.push(hand);
    } else {
      hand(this.#handlers);
    }
  }

  #arrive(action: () => void): void {
    const { time, random } = this.#options;
    const nowMs = time.monotonicMs();
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + random.between(1, 20));
    time.schedule(this.#lastArrivalMs - nowMs, () => this.#process.deliver(action));
  }
}
