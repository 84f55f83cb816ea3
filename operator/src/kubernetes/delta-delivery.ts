import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type BackOff, backOffMs } from './back-off.ts';
import type { Counter } from './metrics.ts';
import type { ObjectDelta } from './object-cache.ts';
import type { KubernetesObject } from './object-client.ts';

const redeliveryBackOff: BackOff = { initialMs: 200, maxMs: 30_000 };

export interface DeltaDeliveryOptions<T> {
  readonly onDelta: (delta: ObjectDelta<T>) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly failures: Counter;
}

/**
 * Hands deltas to somebody whose function may throw. What was not taken is offered again, with pauses, until it is: in order for one object, while others go
 * on. A bug there costs time, never an event, and never the process.
 */
export class DeltaDelivery<T extends KubernetesObject> {
  readonly #options: DeltaDeliveryOptions<T>;
  readonly #waiting = new Map<string, { deltas: ObjectDelta<T>[]; failures: number; cancel: () => void }>();

  constructor(options: DeltaDeliveryOptions<T>) {
    this.#options = options;
  }

  offer(delta: ObjectDelta<T>): void {
    const { namespace, name } = delta.object.metadata;
    const key = `${namespace ?? ''}/${name}`;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      waiting.deltas = joined(waiting.deltas, delta);
      return;
    }
    if (!this.#try(delta, 1)) {
      this.#waiting.set(key, { deltas: [delta], failures: 1, cancel: () => undefined });
      this.#schedule(key);
    }
  }

  stop(): void {
    for (const { cancel } of this.#waiting.values()) {
      cancel();
    }
    this.#waiting.clear();
  }

  #schedule(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      waiting.cancel = this.#options.clock.schedule(backOffMs(redeliveryBackOff, waiting.failures), () => this.#again(key));
    }
  }

  #again(key: string): void {
    const waiting = this.#waiting.get(key);
    for (let delta = waiting?.deltas[0]; waiting !== undefined && delta !== undefined; delta = waiting.deltas[0]) {
      if (!this.#try(delta, waiting.failures + 1)) {
        waiting.failures += 1;
        this.#schedule(key);
        return;
      }
      waiting.deltas.shift();
    }
    this.#waiting.delete(key);
  }

  #try(delta: ObjectDelta<T>, attempt: number): boolean {
    try {
      this.#options.onDelta(delta);
      return true;
    } catch (err) {
      const { kind, metadata } = delta.object;
      this.#options.failures.add({ kind });
      this.#options.log.error(
        { err, kind, namespace: metadata.namespace, name: metadata.name, type: delta.type, attempt },
        'the receiver of a change threw; the change is offered again',
      );
      return false;
    }
  }
}

/** Only ends matter of what has not been taken: changes between them are joined, so that no more than a few wait per object and incarnation. */
function joined<T>(waiting: readonly ObjectDelta<T>[], next: ObjectDelta<T>): ObjectDelta<T>[] {
  const last = waiting.at(-1);
  if (last === undefined || next.type !== 'Modified' || last.type === 'Deleted') {
    return [...waiting, next];
  }
  return [
    ...waiting.slice(0, -1),
    last.type === 'Added' ? { type: 'Added', object: next.object } : { ...last, object: next.object },
  ];
}
