import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { limits } from './limits.ts';

interface OpenRequest {
  readonly requestId: number;
  readonly waitingFor: Set<string>;
  /** Forgotten by all who have answered. */
  names: ReadonlySet<string>;
  readonly resolve: (names: ReadonlySet<string>) => void;
  readonly stopTimer: () => void;
}

export interface ForgetRequestsOptions {
  readonly clock: Clock;
  readonly send: (taskManagerId: string, requestId: number, names: readonly string[]) => void;
}

const nothing: ReadonlySet<string> = new Set();

/**
 * What the TaskManagers of one execution attempt are asked to forget (lineage protocol, rule 8), one request at a time. Ids rise within the attempt, because
 * a TaskManager names what it writes by the last request it has answered.
 */
export class ForgetRequests {
  readonly #options: ForgetRequestsOptions;
  #lastRequestId = 0;
  #open: OpenRequest | undefined;

  constructor(options: ForgetRequestsOptions) {
    this.#options = options;
  }

  /** Those of the names that every TaskManager has forgotten: none, unless all answer. */
  ask(taskManagerIds: Iterable<string>, names: readonly string[]): Promise<ReadonlySet<string>> {
    assert(this.#open === undefined, 'TaskManagers are asked to forget one thing after the other');
    const { clock, send } = this.#options;
    const { promise, resolve } = Promise.withResolvers<ReadonlySet<string>>();
    this.#lastRequestId += 1;
    const waitingFor = new Set(taskManagerIds);
    const stopTimer = clock.schedule(limits.forgetTimeoutMs, () => this.abandon());
    this.#open = { requestId: this.#lastRequestId, waitingFor, names: new Set(names), resolve, stopTimer };
    for (const taskManagerId of waitingFor) {
      send(taskManagerId, this.#lastRequestId, names);
    }
    return promise;
  }

  answered(taskManagerId: string, requestId: number, names: readonly string[]): void {
    const open = this.#open;
    if (open?.requestId !== requestId || !open.waitingFor.delete(taskManagerId)) {
      return;
    }
    const asked = open.names;
    open.names = new Set(names.filter((name) => asked.has(name)));
    if (open.waitingFor.size === 0) {
      this.#end(open.names);
    }
  }

  /** Not everybody will answer, or not in time: the names wait. */
  abandon(): void {
    this.#end(nothing);
  }

  #end(names: ReadonlySet<string>): void {
    const open = this.#open;
    if (open !== undefined) {
      this.#open = undefined;
      open.stopTimer();
      open.resolve(names);
    }
  }
}
