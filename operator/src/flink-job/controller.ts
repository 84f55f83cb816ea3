import { randomUUID } from 'node:crypto';
import { type FlinkJobKey, formatKey, keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { finalizer } from '../api/labels.ts';
import type { Clock } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import type { Log } from '../log.ts';
import type { JobReference, Platform } from '../platform/platform.ts';
import { type FlinkJobStore, StoreConflictError } from '../store/flink-job-store.ts';
import { act } from './act.ts';
import { decide } from './decide.ts';
import type { Command, Decision, Desired, Facts } from './decision.ts';
import { type DecideLimits, defaultLimits } from './limits.ts';
import { observe } from './observe.ts';
import type { Revision } from './revision.ts';
import { canonicalJson } from './spec-diff.ts';

export interface ControllerOptions {
  readonly store: FlinkJobStore;
  readonly platform: Platform;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  /** Other bounds than `defaultLimits`. */
  readonly limits?: Partial<DecideLimits>;
}

/** After a pass that threw: something of ours or of the store is broken, and trying at once would only fill the log. */
const failedPassDelayMs = 5_000;

/**
 * The loop over FlinkJobs: observe → decide → store the status → act. Each has one loop of its own, so a pass never overlaps with another
 * one of the same FlinkJob and a slow job delays nobody else.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #limits: DecideLimits;
  readonly #loops = new Map<string, Loop>();
  #signal: AbortSignal | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  /** Runs until the signal aborts; jobs run on after that. Resolves when the passes under way are over. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#options.platform.watch((key) => this.wake(key), signal);
    await this.#options.store.watch((key) => this.wake(key), signal);
    await Promise.all([...this.#loops.values()].map((loop) => loop.ended));
  }

  /** Looks at this FlinkJob as soon as possible; called by whoever knows that something changed. */
  wake(key: FlinkJobKey): void {
    if (this.#signal === undefined || this.#signal.aborted) {
      return;
    }
    const id = formatKey(key);
    const known = this.#loops.get(id);
    if (known !== undefined) {
      known.wake();
      return;
    }
    const loop = new Loop({
      clock: this.#options.clock,
      signal: this.#signal,
      pass: (memory) => this.#guardedPass(key, memory),
      onEnd: () => this.#loops.delete(id),
    });
    this.#loops.set(id, loop);
  }

  /** One pass; public for tests that drive time themselves. Milliseconds until the next one, undefined when the FlinkJob is gone. */
  async reconcile(key: FlinkJobKey, memory: PassMemory = newMemory()): Promise<number | undefined> {
    const { store, clock, log } = this.#options;
    const found = await store.get(key);
    if (found === undefined) {
      return undefined;
    }
    const flinkJob = await this.#withFinalizer(found);
    const observed = await observe(flinkJob, this.#options);
    const facts: Facts = { ...observed.facts, refusals: memory.refusals, hindrance: memory.hindrance };
    const decision = decide({ ...observed, facts, limits: this.#limits, nowMs: clock.nowMs(), freshToken: randomUUID() });
    const written = await this.#storeDecision(flinkJob, { decision, desired: observed.desired });
    logTransition(log.info.bind(log), key, { before: observed.status, after: decision.status });
    await this.#carryOut(written, decision.commands, memory);
    return decision.requeueAfterMs;
  }

  async #guardedPass(key: FlinkJobKey, memory: PassMemory): Promise<number | undefined> {
    try {
      return await this.reconcile(key, memory);
    } catch (error) {
      if (error instanceof StoreConflictError) {
        return 0;
      }
      this.#options.log.error({ flinkJob: formatKey(key), err: error }, 'pass failed');
      return failedPassDelayMs;
    }
  }

  /** From the first sight on the resource waits for its processes to be gone. */
  async #withFinalizer(flinkJob: StoredFlinkJob): Promise<StoredFlinkJob> {
    const { finalizers, deletionTimestamp } = flinkJob.metadata;
    if (finalizers.includes(finalizer) || deletionTimestamp !== undefined) {
      return flinkJob;
    }
    return (await this.#options.store.updateFinalizers(flinkJob, [...finalizers, finalizer])) ?? flinkJob;
  }

  /** A revision is stored before a status that names it, the status before anything follows from it. */
  async #storeDecision(
    flinkJob: StoredFlinkJob,
    decided: { readonly decision: Decision; readonly desired: Desired },
  ): Promise<StoredFlinkJob> {
    const { store } = this.#options;
    const { decision, desired } = decided;
    const { status } = decision;
    const key = keyOf(flinkJob);
    const { uid } = flinkJob.metadata;
    const named = [status.revision, status.rollout?.revision].filter((name) => name !== undefined);
    if (desired.valid && named.includes(desired.revision.name)) {
      await store.putRevision(key, uid, desired.revision);
    }
    if (canonicalJson(flinkJob.status) === canonicalJson(status)) {
      return flinkJob;
    }
    const written = await store.updateStatus(flinkJob, status);
    await store.pruneRevisions(key, uid, named);
    return written;
  }

  async #carryOut(flinkJob: StoredFlinkJob, commands: readonly Command[], memory: PassMemory): Promise<void> {
    const { store, platform, engine, log } = this.#options;
    const key = keyOf(flinkJob);
    const job: JobReference = { ...key, uid: flinkJob.metadata.uid };
    const before = memory.hindrance?.message;
    memory.refusals = [];
    memory.hindrance = undefined;
    for (const command of commands) {
      const outcome = await act(command, job, {
        platform,
        engine,
        revision: (name) => this.#revision(job, name),
        release: async () => {
          const rest = flinkJob.metadata.finalizers.filter((name) => name !== finalizer);
          await store.updateFinalizers(flinkJob, rest);
        },
      });
      if (outcome.type === 'Done') {
        if (command.type === 'Release' && command.orphaned) {
          log.warn({ flinkJob: formatKey(key) }, 'deleted although processes of it may be left');
        }
        if (command.type === 'Release' && command.unpurged !== undefined) {
          log.error(
            { flinkJob: formatKey(key), problem: command.unpurged },
            'deleted without its lineage, which should have been purged',
          );
        }
        continue;
      }
      // The same failure again is no news.
      if (outcome.problem.message !== before) {
        const { type, operationId } = command;
        log.warn({ flinkJob: formatKey(key), command: type, operationId, problem: outcome.problem }, 'command failed');
      }
      if (outcome.type === 'Refused') {
        memory.refusals = [...memory.refusals, { operationId: command.operationId, problem: outcome.problem }];
      }
      memory.hindrance = outcome.problem;
    }
  }

  async #revision(job: JobReference, name: string): Promise<Revision> {
    const revision = await this.#options.store.getRevision(job, job.uid, name);
    if (revision === undefined) {
      throw new Error(`revision ${name} of ${formatKey(job)} is not in the store`);
    }
    return revision;
  }
}

/** What a loop remembers from one pass to the next; losing it costs nothing but time. */
export interface PassMemory {
  refusals: Facts['refusals'];
  hindrance: Problem | undefined;
}

function newMemory(): PassMemory {
  return { refusals: [], hindrance: undefined };
}

function logTransition(
  info: Log['info'],
  key: FlinkJobKey,
  change: { readonly before: FlinkJobStatus; readonly after: FlinkJobStatus },
): void {
  const { before, after } = change;
  const step = (status: FlinkJobStatus) => `${status.rollout?.id ?? 0} ${status.rollout?.state ?? ''} ${status.state}`;
  if (step(before) !== step(after)) {
    const { state, revision, attempt, rollout, error } = after;
    const fields = { flinkJob: formatKey(key), state, revision, attempt: attempt?.number, rollout: rollout?.state, error };
    info(fields, 'FlinkJob changed');
  }
}

/** Passes over one FlinkJob, one after the other, when woken and when time has come. */
class Loop {
  readonly ended: Promise<void>;
  #woken = true;
  #wakeUp: () => void = () => undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly pass: (memory: PassMemory) => Promise<number | undefined>;
    readonly onEnd: () => void;
  }) {
    this.ended = this.#run(options).finally(options.onEnd);
  }

  wake(): void {
    this.#woken = true;
    this.#wakeUp();
  }

  async #run(options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly pass: (memory: PassMemory) => Promise<number | undefined>;
  }): Promise<void> {
    const { clock, signal, pass } = options;
    const memory = newMemory();
    while (!signal.aborted) {
      this.#woken = false;
      const delayMs = await pass(memory);
      if (delayMs === undefined && !this.#woken) {
        return;
      }
      await this.#pause(clock, delayMs ?? 0, signal);
    }
  }

  async #pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
    // Many hints at once (a file that is written in pieces) are one.
    const least = 50;
    await new Promise<void>((resolve) => {
      const finish = () => {
        signal.removeEventListener('abort', finish);
        cancel();
        resolve();
      };
      let cancel = clock.schedule(this.#woken ? least : Math.max(least, delayMs), finish);
      this.#wakeUp = () => {
        cancel();
        cancel = clock.schedule(least, finish);
      };
      signal.addEventListener('abort', finish);
      if (signal.aborted) {
        finish();
      }
    });
    this.#wakeUp = () => undefined;
  }
}
