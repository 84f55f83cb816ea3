import type { PlanResult } from '@flinkjob/runtime/process-config';
import { type FlinkJobKey, formatKey, keyOf, type StoredFlinkJob } from '../../../src/api/flink-job.ts';
import { parseFlinkJobSpec } from '../../../src/api/parse-flink-job.ts';
import { buildRevision } from '../../../src/flink-job/build-revision.ts';
import type { ControllerOptions } from '../../../src/flink-job/controller.ts';
import { decide } from '../../../src/flink-job/decide.ts';
import type { DecideInput, Decision } from '../../../src/flink-job/decision.ts';
import type { FlinkJobStore } from '../../../src/store/flink-job-store.ts';
import { planWith } from '../../fakes/flink-job-builders.ts';
import { plantedLifecycleBugs } from './planted-lifecycle-bugs.ts';
import type { SimulationOptions } from './simulation.ts';

export interface PlantedBug extends SimulationOptions {
  /** The simulator must notice it within so many seeds from the first one on. */
  readonly seedCount: number;
  /** How it shows. */
  readonly violation: RegExp;
}

/** Another mind. */
function thinking(wrong: (input: DecideInput) => Decision): Pick<SimulationOptions, 'replace'> {
  return { replace: (options) => ({ ...options, decide: wrong }) };
}

/** A mind that takes what a pre-flight says of the lineage for something else. */
function misreading(
  wrong: (lineage: PlanResult['lineage'], status: DecideInput['status']) => PlanResult['lineage'],
): Pick<SimulationOptions, 'replace'> {
  return thinking((input) => {
    const { facts, status } = input;
    const { preFlight } = facts;
    if (preFlight?.state !== 'Completed') {
      return decide(input);
    }
    const result = { ...preFlight.result, lineage: wrong(preFlight.result.lineage, status) };
    return decide({ ...input, facts: { ...facts, preFlight: { ...preFlight, result } } });
  });
}

/** Another way to the FlinkJobs. */
function storing(
  wrong: (store: FlinkJobStore, options: ControllerOptions) => Partial<FlinkJobStore>,
): Pick<SimulationOptions, 'replace'> {
  return { replace: (options) => ({ ...options, store: partlyReplaced(options.store, wrong(options.store, options)) }) };
}

/** All that is not wrong is as it was. */
function partlyReplaced<T extends object>(right: T, wrong: Partial<T>): T {
  return new Proxy(right, {
    get: (target, name) => {
      const found: unknown = Reflect.get(wrong, name) ?? Reflect.get(target, name);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

/** Each of these mistakes would break a promise, so the simulator must notice it. */
export const plantedBugs: Readonly<Record<string, PlantedBug>> = {
  ...plantedLifecycleBugs,
  'stale cache acted on': {
    ...{ seedCount: 100, violation: /attempt number|not stored|look before|receipt|one action per id/ },
    // What the mirrors show is taken for what is so, without a look and without a thought for what was written since; and a write takes the newest version "to avoid conflicts".
    replace: (options) => {
      const { platform, store, clock } = options;
      const shown = new Map<string, { readonly atMs: number; readonly object: StoredFlinkJob }>();
      const show = async (key: FlinkJobKey): Promise<StoredFlinkJob | undefined> => {
        const known = shown.get(formatKey(key));
        if (known !== undefined && clock.nowMs() - known.atMs < 4_000) {
          return known.object;
        }
        const object = store.mirrored?.(key) ?? (await store.get(key));
        if (object === undefined) {
          shown.delete(formatKey(key));
        } else {
          shown.set(formatKey(key), { atMs: clock.nowMs(), object });
        }
        return object;
      };
      return {
        ...options,
        platform: partlyReplaced(platform, {
          observe: async (job, preFlightId, purgeId) =>
            platform.mirrored?.(job, preFlightId, purgeId) ?? platform.observe(job, preFlightId, purgeId),
        }),
        store: partlyReplaced(store, {
          get: show,
          updateStatus: async (read, status) => {
            const newest = await store.get(keyOf(read));
            return store.updateStatus(newest?.metadata.uid === read.metadata.uid ? newest : read, status);
          },
        }),
      };
    },
  },
  'operation id not stored before it is sent': {
    ...{ seedCount: 20, violation: /not stored/ },
    ...storing((store) => ({
      updateStatus: async (read, status) => {
        // Somebody else's problem, a moment later.
        void store.updateStatus(read, status).catch(() => undefined);
        return { ...read, status };
      },
    })),
  },
  'timer not reset in a new rollout': {
    ...{ seedCount: 300, violation: /late before its time/ },
    ...thinking((input) => {
      const decision = decide(input);
      const [was, is] = [input.status.rollout, decision.status.rollout];
      const { stateTime } = was ?? {};
      const isOther = was !== undefined && is !== undefined && was.id !== is.id && was.deadlineTime !== undefined;
      return isOther && stateTime !== undefined
        ? { ...decision, status: { ...decision.status, rollout: { ...is, deadlineTime: was.deadlineTime } } }
        : decision;
    }),
  },
  'receipt not awaited': {
    ...{ seedCount: 100, violation: /receipt/ },
    ...thinking((input) => {
      const { document } = input.facts;
      const operationId = input.status.rollout?.operationId;
      return document?.state === 'Stopping' && operationId !== undefined && input.status.rollout?.state === 'Stopping'
        ? decide({
            ...input,
            facts: {
              ...input.facts,
              document: {
                ...document,
                state: 'Stopped',
                closed: { reason: 'StoppedWithSavepoint', checkpointId: 1, operationId },
              },
            },
          })
        : decide(input);
    }),
  },
  'finalizer without deadline': {
    ...{ seedCount: 200, violation: /not arrived/ },
    ...thinking((input) => {
      const never = 400 * 24 * 3_600_000;
      return decide({ ...input, limits: { ...input.limits, deletionTimeoutMs: never } });
    }),
  },
  'attempt number used again': {
    ...{ seedCount: 50, violation: /attempt number/ },
    ...thinking((input) => {
      const decision = decide(input);
      const [was, is] = [input.status.attempt, decision.status.attempt];
      return was !== undefined && is !== undefined && is.number > was.number
        ? { ...decision, status: { ...decision.status, attempt: { ...is, number: was.number } } }
        : decision;
    }),
  },
  'a leader that does not look at its lease': {
    ...{ seedCount: 100, violation: /two leaders/ },
    heedsLease: false,
  },
  'start without pre-flight': {
    ...{ seedCount: 20, violation: /look before you/ },
    ...thinking((input) => {
      const { rollout } = input.status;
      return rollout?.state === 'PreFlight' && rollout.operationId !== undefined
        ? decide({
            ...input,
            facts: { ...input.facts, preFlight: { operationId: rollout.operationId, state: 'Completed', result: planWith() } },
          })
        : decide(input);
    }),
  },
  'revision rendered from what the spec says by then': {
    ...{ seedCount: 500, violation: /immutable/ },
    replace: (options) => {
      const { platform, store } = options;
      return {
        ...options,
        platform: partlyReplaced(platform, {
          ensureJobManager: async (job, request) => {
            const found = await store.get(job);
            const parsed = found === undefined ? undefined : parseFlinkJobSpec(found.spec);
            const { name } = request.revision;
            const revision =
              parsed?.ok === true && found ? { ...buildRevision(parsed.value, found.metadata), name } : request.revision;
            return platform.ensureJobManager(job, { ...request, revision });
          },
        }),
      };
    },
  },
  'retry without back-off': {
    ...{ seedCount: 100, violation: /without a pause|hot loop/ },
    ...thinking((input) =>
      decide({ ...input, limits: { ...input.limits, retryDelayFirstMs: 0, retryDelayMaxMs: 0, busyPollMs: 0 } }),
    ),
  },
  'a storage that the job has left taken for one that knows all': {
    ...{ seedCount: 1000, emphasis: 'StorageMoves', violation: /silently rewound/ },
    ...misreading((lineage, { attempt }) => ({ ...lineage, attemptNumber: attempt?.number ?? 0, attemptToken: attempt?.token })),
  },
  'an empty storage taken for one with state': {
    ...{ seedCount: 300, emphasis: 'StorageMoves', violation: /silently empty/ },
    ...misreading((lineage, { attempt }) => ({
      ...{ ...lineage, attemptNumber: attempt?.number ?? 0, attemptToken: attempt?.token },
      restorePath: lineage.restorePath ?? 'chk-1',
    })),
  },
  'purge although the spec does not say so': {
    ...{ seedCount: 200, violation: /restore point/ },
    ...thinking((input) => {
      const { desired } = input;
      if (!desired.valid) {
        return decide(input);
      }
      const spec = {
        ...desired.revision.spec,
        checkpoints: { ...desired.revision.spec.checkpoints, onDelete: 'Purge' as const },
      };
      return decide({ ...input, desired: { valid: true, revision: { ...desired.revision, spec } } });
    }),
  },
};
