import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { JobError } from '@flinkjob/runtime/rest';
import type { FlinkJobKey } from './api/flink-job.ts';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import { createLocalCredentials } from './credentials/local-credentials.ts';
import { typescriptEngine } from './engine/typescript/typescript-engine.ts';
import { Controller } from './flink-job/controller.ts';
import type { DecideLimits } from './flink-job/limits.ts';
import { SavepointController } from './flink-savepoint/controller.ts';
import { DrillResults } from './flink-savepoint/drill-results.ts';
import type { SavepointLimits } from './flink-savepoint/limits.ts';
import { Metrics } from './kubernetes/metrics.ts';
import type { Log } from './log.ts';
import { machineClusterId } from './platform/process/cluster-id.ts';
import { ProcessPlatform } from './platform/process/process-platform.ts';
import { ProcessSavepointTasks } from './platform/process/process-savepoint-tasks.ts';
import { ProcessLock } from './process-identity/process-lock.ts';
import { FileFlinkJobStore } from './store/file-flink-job-store.ts';
import { FileFlinkSavepointStore } from './store/file-flink-savepoint-store.ts';
import { StoreConflictError } from './store/flink-job-store.ts';

/** The store of a work directory; also for who only reads it or applies to it while another process is the controller. */
export function openLocalStore(workDirectory: string, clock: Clock = systemClock): FileFlinkJobStore {
  // A namespace cannot begin with a dot, so this name is free.
  return new FileFlinkJobStore({ directory: path.join(workDirectory, '.store'), clock });
}

/** That of its FlinkSavepoints, in the same way. */
function openLocalSavepointStore(workDirectory: string, flinkJobs: FileFlinkJobStore, clock: Clock): FileFlinkSavepointStore {
  return new FileFlinkSavepointStore({ directory: path.join(workDirectory, '.savepoints'), clock, flinkJobs });
}

/** Held by the one controller of a work directory, and readable by who wants to know whether there is one. */
export function controllerLockPath(workDirectory: string): string {
  return path.join(workDirectory, '.controller-lock');
}

export interface LocalOperator {
  readonly store: FileFlinkJobStore;
  readonly platform: ProcessPlatform;
  readonly controller: Controller;
  readonly savepoints: { readonly store: FileFlinkSavepointStore; readonly controller: SavepointController };
  /** Runs the controller until the signal aborts, then gives the work directory free. Jobs run on. */
  run(signal: AbortSignal): Promise<void>;
  /** Brings one deletion to its end without touching any other job, then gives the work directory free. */
  finishDeletion(key: FlinkJobKey): Promise<void>;
}

/** Between passes of a deletion: its processes end within moments. */
const deletionPollMs = 200;

/**
 * A controller over local processes. Holds the lock of the work directory from here on: two controllers would each think that the
 * other's processes are its own.
 */
export async function openLocalOperator(options: {
  readonly workDirectory: string;
  readonly log: Log;
  readonly limits?: Partial<DecideLimits>;
  readonly savepointLimits?: Partial<SavepointLimits>;
  /** Instead of the usual one, after which the keys of jobs turn. */
  readonly keyPeriodMs?: number;
}): Promise<LocalOperator> {
  const { workDirectory, log, limits, keyPeriodMs } = options;
  const attempt = await ProcessLock.tryAcquire(controllerLockPath(workDirectory));
  if (!attempt.acquired) {
    const who = attempt.holder === undefined ? 'another process' : `process ${attempt.holder.pid}`;
    throw new JobError(`${workDirectory} is in use by ${who}`, {
      domain: 'user',
      retry: 'never',
      code: 'WorkDirectoryInUse',
      remedy: 'End that process, or use another work directory.',
    });
  }
  const clock = systemClock;
  const store = openLocalStore(workDirectory, clock);
  const credentials = await createLocalCredentials(workDirectory, { log, nowMs: () => clock.nowMs(), periodMs: keyPeriodMs });
  const processes = { workDirectory, credentials, engine: typescriptEngine, clusterId: await machineClusterId(), clock, log };
  const platform = new ProcessPlatform(processes);
  const drills = new DrillResults();
  const controller = new Controller({
    store,
    drills,
    platform,
    engine: typescriptEngine,
    credentials,
    clock,
    log,
    metrics: new Metrics(),
    ...(limits === undefined ? {} : { limits }),
  });
  const savepointStore = openLocalSavepointStore(workDirectory, store, clock);
  const savepoints: SavepointController = new SavepointController({
    ...{
      store: savepointStore,
      flinkJobs: store,
      drills,
      engine: typescriptEngine,
      credentials,
      clock,
      log,
      metrics: new Metrics(),
    },
    tasks: new ProcessSavepointTasks({ ...processes, onExit: (key) => savepoints.wake(key) }),
    limits: options.savepointLimits ?? {},
  });
  return {
    store,
    platform,
    controller,
    savepoints: { store: savepointStore, controller: savepoints },
    run: async (signal) => {
      try {
        await Promise.all([controller.run(signal), savepoints.run(signal)]);
      } finally {
        await attempt.lock.release();
      }
    },
    finishDeletion: async (key) => {
      try {
        while ((await store.get(key))?.metadata.deletionTimestamp !== undefined) {
          await controller.reconcile(key).catch((error: unknown) => {
            // Somebody wrote in between: the next pass reads that.
            if (!(error instanceof StoreConflictError)) {
              throw error;
            }
          });
          await delay(deletionPollMs);
        }
      } finally {
        await attempt.lock.release();
      }
    },
  };
}
