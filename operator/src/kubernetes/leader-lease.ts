import { type Clock, systemClock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import type { Metrics } from './metrics.ts';
import type { KubernetesObject } from './object-client.ts';
import { pause } from './pause.ts';
import type { ResourcePaths } from './resource-paths.ts';
import { systemTime, type TimeSource } from './time-source.ts';

interface Lease extends KubernetesObject {
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface LeaseLimits {
  /** Others take the lease over when they have seen it unchanged for so long. */
  readonly leaseMs: number;
  /** So long after the last renewal was *sent* the holder stops by itself. What is left until `leaseMs` is for what was on its way. */
  readonly giveUpAfterMs: number;
  readonly renewEveryMs: number;
}

/** client-go's: the numbers that API servers are used to. */
export const defaultLeaseLimits: LeaseLimits = { leaseMs: 15_000, giveUpAfterMs: 10_000, renewEveryMs: 2_000 };

/** The same proportions for a lease of another length. */
export function leaseLimitsOf(leaseSeconds: number): LeaseLimits {
  const { leaseMs, giveUpAfterMs, renewEveryMs } = defaultLeaseLimits;
  const factor = (leaseSeconds * 1000) / leaseMs;
  return { leaseMs: leaseSeconds * 1000, giveUpAfterMs: giveUpAfterMs * factor, renewEveryMs: renewEveryMs * factor };
}

export interface LeaderLeaseOptions {
  readonly connection: ApiConnection;
  readonly paths: ResourcePaths;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone: a pod's name with something random, because a container that restarts keeps its pod's name. */
  readonly identity: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: LeaseLimits;
  /** For what is held and for how long. */
  readonly time?: TimeSource;
  /** For pauses, and for what people read in the Lease. */
  readonly clock?: Clock;
  /** Told how long the lease is held for sure, after each renewal, on the clock of `process.hrtime`; undefined when it is held no more. */
  readonly onHeldFor?: (heldForMs: number | undefined) => void;
}

/**
 * Who of several controllers acts, by a `Lease` object.
 *
 * 1. `isHeld` compares clocks when it is asked; no timer has to fire for it. A process that was paused is told "no" by its first question.
 * 2. The holder counts from when a renewal was sent, others from when they saw it: so the holder's time ends first, by `leaseMs − giveUpAfterMs`. No
 *    clock is compared with another machine's.
 * 3. The holder's time is the longer of the monotonic and the wall clock (a suspended machine stops the first), the others' is monotonic alone: a jump can only
 *    end a lease too early, and never let it be taken too early.
 * 4. Once lost it is lost for this process: it ends and starts anew, with nothing in memory from before.
 */
export class LeaderLease {
  readonly #options: LeaderLeaseOptions;
  readonly #limits: LeaseLimits;
  readonly #time: TimeSource;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  readonly #renewals;
  #lease: Lease | undefined;
  /** On the cautious clock; 0 while others hold it. */
  #heldUntilMs = 0;
  #released = new AbortController();
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: LeaderLeaseOptions) {
    this.#options = options;
    this.#limits = options.limits ?? defaultLeaseLimits;
    this.#time = options.time ?? systemTime;
    this.#clock = options.clock ?? systemClock;
    this.#renewals = options.metrics.counter('lease_renewals_total', 'Attempts to renew the leader lease, by result.');
    options.metrics.gauge('leading', '1 in the one replica that acts.', () => [{ value: this.isHeld() ? 1 : 0 }]);
  }

  /** Whether this process may act now. */
  isHeld(): boolean {
    return this.heldForMs() > 0;
  }

  heldForMs(): number {
    return Math.max(0, this.#heldUntilMs - this.#time.cautiousMs());
  }

  /** Aborts when the lease is lost. The process has to end. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Waits until this process is the leader, and keeps it so. False when the signal came first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    let observed: { readonly resourceVersion: string; readonly atMs: number } | undefined;
    while (!signal.aborted) {
      let freeInMs = Number.POSITIVE_INFINITY;
      try {
        const found = await this.#read();
        const resourceVersion = found?.metadata.resourceVersion ?? '';
        if (observed?.resourceVersion !== resourceVersion) {
          observed = { resourceVersion, atMs: this.#time.monotonicMs() };
        }
        freeInMs = this.#freeInMs(found, observed.atMs);
        if (freeInMs <= 0 && !signal.aborted) {
          await this.#write(found, this.#options.identity);
          this.#keeping = this.#keep();
          this.#options.log.info({ lease: this.#options.name, identity: this.#options.identity }, 'this process leads now');
          return true;
        }
      } catch (err) {
        // Another was faster, or the server cannot be asked: the next look is soon.
        const overtaken = err instanceof ApiError && (err.reason === 'Conflict' || err.reason === 'AlreadyExists');
        this.#options.log[overtaken ? 'debug' : 'warn'](
          { err, lease: this.#options.name },
          'the leader lease could not be acquired',
        );
      }
      // Not a whole look later than it may be taken: every second of that is one in which nobody acts.
      const lookAgainMs = this.#limits.renewEveryMs * (0.8 + 0.4 * Math.random());
      await pause(this.#clock, freeInMs <= 0 ? lookAgainMs : Math.min(lookAgainMs, freeInMs + afterExpiryMs), signal);
    }
    return false;
  }

  /** To be called when nothing acts any more: the next leader need not wait for the lease to expire. */
  async release(): Promise<void> {
    this.#released.abort();
    await this.#keeping;
    const held = this.isHeld();
    this.#notHeld();
    if (!held || this.#lease === undefined) {
      return;
    }
    try {
      await this.#send(this.#lease, '', Math.min(this.#limits.renewEveryMs, 5_000));
      this.#options.log.info({ lease: this.#options.name }, 'the leader lease was released');
    } catch (err) {
      this.#options.log.warn(
        { err, lease: this.#options.name },
        'the leader lease could not be released; the next leader waits until it expires',
      );
    }
  }

  async #keep(): Promise<void> {
    const { signal } = this.#released;
    for (;;) {
      await pause(this.#clock, this.#limits.renewEveryMs, signal);
      if (signal.aborted) {
        return;
      }
      const failure = await this.#renew();
      if (failure === undefined) {
        continue;
      }
      const taken = failure instanceof LeaseTakenError;
      if (taken || !this.isHeld()) {
        this.#notHeld();
        this.#options.log.error(
          { err: failure, lease: this.#options.name },
          'the leader lease is lost; this process acts no more',
        );
        this.#lost.abort(failure);
        return;
      }
      this.#options.log.warn(
        { err: failure, heldForMs: this.heldForMs() },
        'the leader lease could not be renewed; trying again',
      );
    }
  }

  /** Undefined when it worked. */
  async #renew(): Promise<unknown> {
    try {
      if (!this.isHeld()) {
        throw new Error(
          `the lease was not renewed within ${this.#limits.giveUpAfterMs} ms: this process or the API server stood still`,
        );
      }
      await this.#write(this.#lease, this.#options.identity);
      this.#renewals.add({ result: 'Renewed' });
      return undefined;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'Conflict') {
        return this.#renewAgainstConflict();
      }
      this.#renewals.add({ result: 'Failed' });
      return error;
    }
  }

  /** Our own renewal whose answer was lost looks like this, and so does a successor. */
  async #renewAgainstConflict(): Promise<unknown> {
    try {
      const found = await this.#read();
      const holder = found?.spec.holderIdentity;
      if (holder !== this.#options.identity) {
        this.#renewals.add({ result: 'Taken' });
        return new LeaseTakenError(`${holder || 'nobody'} holds the lease now`);
      }
      await this.#write(found, this.#options.identity);
      this.#renewals.add({ result: 'Renewed' });
      return undefined;
    } catch (error) {
      this.#renewals.add({ result: 'Failed' });
      return error;
    }
  }

  /** Until it may be taken, if nobody renews it; zero or less: now. */
  #freeInMs(lease: Lease | undefined, observedAtMs: number): number {
    const holder = lease?.spec.holderIdentity ?? '';
    if (lease === undefined || holder === '' || holder === this.#options.identity) {
      return 0;
    }
    // What the holder was promised, which may have been configured otherwise than here.
    const promisedMs = Math.max((lease.spec.leaseDurationSeconds ?? 0) * 1000, this.#limits.leaseMs);
    return promisedMs - (this.#time.monotonicMs() - observedAtMs);
  }

  async #read(): Promise<Lease | undefined> {
    try {
      const { namespace, name } = this.#options;
      const path = await this.#options.paths.pathOf(leaseKind, { namespace, name });
      return (await this.#options.connection.send({ method: 'GET', path }, { timeoutMs: this.#attemptMs() })).body as Lease;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') {
        return undefined;
      }
      throw error;
    }
  }

  async #write(before: Lease | undefined, holder: string): Promise<void> {
    const sentAtMs = this.#time.cautiousMs();
    this.#lease = await this.#send(before, holder, this.#attemptMs());
    this.#heldUntilMs = sentAtMs + this.#limits.giveUpAfterMs;
    if (!this.isHeld()) {
      throw new Error('the answer to a renewal came later than the lease lasts');
    }
    this.#options.onHeldFor?.(this.heldForMs());
  }

  async #send(before: Lease | undefined, holder: string, timeoutMs: number): Promise<Lease> {
    const { namespace, name, paths, connection } = this.#options;
    const renewTime = new Date(this.#clock.nowMs()).toISOString().replace('Z', '000Z');
    const changes = before?.spec.holderIdentity !== holder;
    const lease: Lease = {
      ...leaseKind,
      metadata: before?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.max(1, Math.ceil(this.#limits.leaseMs / 1000)),
        acquireTime: changes ? renewTime : (before?.spec.acquireTime ?? renewTime),
        renewTime,
        leaseTransitions: (before?.spec.leaseTransitions ?? 0) + (changes && before !== undefined && holder !== '' ? 1 : 0),
      },
    };
    const path = await paths.pathOf(leaseKind, { namespace, name: before === undefined ? undefined : name });
    const request: ApiRequest = { method: before === undefined ? 'POST' : 'PUT', path, body: lease };
    return (await connection.send(request, { timeoutMs })).body as Lease;
  }

  /** Several attempts fit into the time until the lease is given up. */
  #attemptMs(): number {
    const most = this.#limits.giveUpAfterMs / 2;
    return this.#heldUntilMs === 0 ? most : Math.max(1, Math.min(most, this.heldForMs()));
  }

  #notHeld(): void {
    this.#heldUntilMs = 0;
    this.#options.onHeldFor?.(undefined);
  }
}

/** A timer may fire a little early. */
const afterExpiryMs = 20;
const leaseKind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

class LeaseTakenError extends Error {
  override readonly name = 'LeaseTakenError';
}
