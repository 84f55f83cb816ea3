import type { Connection, JobManagerConnection, TaskManagerConnection } from '../core/protocol/messages.ts';

/** A connected pair in one process, for `run` and for tests. Messages arrive in order and never within `send`. */
export function connectInMemory(): { jobManagerSide: TaskManagerConnection; taskManagerSide: JobManagerConnection } {
  const [jobManagerSide, taskManagerSide] = connectionPair<
    Parameters<TaskManagerConnection['send']>[0],
    Parameters<JobManagerConnection['send']>[0]
  >();
  return { jobManagerSide, taskManagerSide };
}

function connectionPair<A, B>(): [Connection<A, B>, Connection<B, A>] {
  const a = new InMemorySide<A, B>();
  const b = new InMemorySide<B, A>();
  a.connect(b);
  b.connect(a);
  return [a, b];
}

class InMemorySide<Out, In> implements Connection<Out, In> {
  #peer: InMemorySide<In, Out> | undefined;
  #handlers: Parameters<Connection<Out, In>['listen']>[0] | undefined;
  #closed = false;
  readonly #early: (() => void)[] = [];

  connect(peer: InMemorySide<In, Out>): void {
    this.#peer = peer;
  }

  send(message: Out): void {
    if (!this.#closed) {
      this.#peer?.receive(message);
    }
  }

  listen(handlers: Parameters<Connection<Out, In>['listen']>[0]): void {
    this.#handlers = handlers;
    for (const deliver of this.#early.splice(0)) {
      setImmediate(deliver);
    }
  }

  close(reason: string): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#deliver(() => this.#handlers?.onClose(reason));
      this.#peer?.peerClosed(reason);
    }
  }

  receive(message: In): void {
    this.#deliver(() => {
      if (!this.#closed) {
        this.#handlers?.onMessage(message);
      }
    });
  }

  peerClosed(reason: string): void {
    // Behind the messages under way, which a real connection would deliver too.
    this.#deliver(() => {
      if (!this.#closed) {
        this.#closed = true;
        this.#handlers?.onClose(reason);
      }
    });
  }

  #deliver(action: () => void): void {
    if (this.#handlers === undefined) {
      this.#early.push(action);
    } else {
      setImmediate(action);
    }
  }
}
