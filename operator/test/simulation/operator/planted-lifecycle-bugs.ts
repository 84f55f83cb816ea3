import type { FlinkSavepointStatus } from '../../../src/api/flink-savepoint-status.ts';
import { decide } from '../../../src/flink-job/decide.ts';
import type { DecideInput, Decision } from '../../../src/flink-job/decision.ts';
import type { SavepointControllerOptions } from '../../../src/flink-savepoint/controller.ts';
import { decideSavepoint } from '../../../src/flink-savepoint/decide.ts';
import type { SavepointDecision, SavepointInput } from '../../../src/flink-savepoint/decision.ts';
import { decideSchedule, type ScheduleDecision, type ScheduleInput } from '../../../src/flink-savepoint/schedule.ts';
import type { PlantedBug } from './planted-bugs.ts';
import type { SimulationOptions } from './simulation.ts';

/** Another mind about FlinkJobs. */
function thinking(wrong: (input: DecideInput) => Decision): Pick<SimulationOptions, 'replace'> {
  return { replace: (options) => ({ ...options, decide: wrong }) };
}

/** Another mind about one FlinkSavepoint. */
function savepointThinking(wrong: (input: SavepointInput) => SavepointDecision): Pick<SimulationOptions, 'replaceSavepoints'> {
  return { replaceSavepoints: (options) => ({ ...options, decide: wrong }) };
}

/** Another mind about a schedule, which may remember something for as long as its process lives. */
function scheduling(wrong: () => (input: ScheduleInput) => ScheduleDecision): Pick<SimulationOptions, 'replaceSavepoints'> {
  return { replaceSavepoints: (options) => ({ ...options, decideSchedule: wrong() }) };
}

const never = 400 * 24 * 3_600_000;

/** Mistakes about FlinkSavepoints, pauses, the time to live and deletion. */
export const plantedLifecycleBugs: Readonly<Record<string, PlantedBug>> = {
  'id of a savepoint not stored before it is sent': {
    ...{ seedCount: 100, violation: /not stored/ },
    replaceSavepoints: (options) => ({ ...options, store: writingLater(options) }),
  },
  'savepoints of a job that overlap': {
    ...{ seedCount: 300, violation: /one at a time/ },
    ...savepointThinking((input) => decideSavepoint({ ...input, waitsFor: undefined })),
  },
  'a savepoint called complete while it is being taken': {
    ...{ seedCount: 100, violation: /not in storage|leak/ },
    ...savepointThinking((input) => {
      const decision = decideSavepoint(input);
      const { state, step } = decision.status;
      const isSent = state === 'InProgress' && step?.by === 'JobManager' && input.status.state === 'InProgress';
      return isSent ? { ...decision, status: completeTooEarly(decision.status, input.nowMs), commands: [] } : decision;
    }),
  },
  'the only restore point of a schedule deleted': {
    ...{ seedCount: 50, emphasis: 'Schedules', violation: /restore point/ },
    ...scheduling(() => (input) => {
      const decision = decideSchedule(input);
      const complete = input.savepoints.filter(({ status, metadata }) => status?.state === 'Completed' && metadata.labels);
      return { ...decision, remove: complete.filter(({ metadata }) => metadata.labels?.['flinkjob.dev/scheduled'] === 'true') };
    }),
  },
  'retention that deletes what is being proven': {
    ...{ seedCount: 200, emphasis: 'Schedules', violation: /in use/ },
    ...scheduling(() => (input) => {
      const decision = decideSchedule(input);
      const savepoints = input.savepoints.map((savepoint) => {
        const { status } = savepoint;
        return status?.drill === undefined
          ? savepoint
          : { ...savepoint, status: { ...status, drill: { ...status.drill, result: 'Restorable' as const } } };
      });
      return { ...decision, remove: decideSchedule({ ...input, savepoints }).remove };
    }),
  },
  'a schedule that remembers its runs in memory': {
    ...{ seedCount: 100, emphasis: 'Schedules', violation: /schedule: .* a second time/ },
    ...scheduling(() => {
      const done = new Set<string>();
      return (input) => {
        const { create, ...rest } = decideSchedule({ ...input, savepoints: [] });
        const isNew = create !== undefined && !done.has(create.name);
        if (isNew) {
          done.add(create.name);
        }
        const right = decideSchedule(input);
        return {
          ...{ ...right, wakeAtMs: rest.wakeAtMs },
          create: isNew ? { ...create, name: `${create.name}-${input.nowMs}` } : undefined,
        };
      };
    }),
  },
  'a savepoint that waits for a job that is gone': {
    ...{ seedCount: 100, emphasis: 'Namespaces', violation: /not arrived/ },
    ...savepointThinking((input) => {
      const decision = decideSavepoint(input);
      const waits = input.deleting && (input.job === undefined || input.job.deleting);
      return waits ? { ...decision, commands: decision.commands.filter(({ type }) => type !== 'Forget') } : decision;
    }),
  },
  'a savepoint given free although its policy says otherwise': {
    ...{ seedCount: 500, violation: /restore point: .* given free/ },
    ...savepointThinking((input) => {
      const { spec } = input;
      return decideSavepoint(
        spec.ok ? { ...input, spec: { ok: true, value: { ...spec.value, deletionPolicy: 'Delete' } } } : input,
      );
    }),
  },
  'a time to live that deletes what runs': {
    ...{ seedCount: 50, emphasis: 'TimesToLive', violation: /time to live/ },
    ...thinking((input) => {
      const decision = decide(input);
      const ttl = input.desired.valid ? input.desired.revision.spec.ttlSecondsAfterFinished : undefined;
      const isStable = decision.status.rollout === undefined && !input.deleting && !input.paused;
      return ttl !== undefined && isStable
        ? { ...decision, commands: [...decision.commands, { type: 'DeleteResource', operationId: `${input.uid}/expire` }] }
        : decision;
    }),
  },
  'a time to live that deletes a newer spec': {
    ...{ seedCount: 400, emphasis: 'TimesToLive', violation: /time to live/ },
    replace: (options) => ({
      ...options,
      store: new Proxy(options.store, {
        get: (target, name) => {
          const found: unknown = Reflect.get(target, name);
          if (name !== 'delete') {
            return typeof found === 'function' ? found.bind(target) : found;
          }
          // "Conflicts are avoided" by a moment's patience and no word of what was read.
          return async (key: Parameters<typeof target.delete>[0]) => {
            await new Promise<void>((resolve) => options.clock.schedule(60_000, resolve));
            await target.delete(key);
          };
        },
      }),
    }),
  },
  'a pause that nobody reads': {
    ...{ seedCount: 100, emphasis: 'Pauses', violation: /paused/ },
    ...thinking((input) => decide({ ...input, paused: false })),
  },
  'a deletion that forgets the savepoint': {
    ...{ seedCount: 200, violation: /savepoint on deletion/ },
    ...thinking((input) => decide(withCheckpoints(input, { onDelete: 'Retain' }))),
  },
  'a purge that a dying namespace refuses for ever': {
    ...{ seedCount: 100, emphasis: 'Namespaces', violation: /not arrived/ },
    ...thinking((input) => {
      const refusals = input.facts.refusals.filter(({ problem }) => problem.code !== 'NamespaceTerminating');
      return decide({ ...withCheckpoints(input, { deleteTimeoutSeconds: never }), facts: { ...input.facts, refusals } });
    }),
  },
};

function withCheckpoints(
  input: DecideInput,
  wrong: { readonly onDelete?: 'Retain'; readonly deleteTimeoutSeconds?: number },
): DecideInput {
  const { desired } = input;
  if (!desired.valid) {
    return input;
  }
  const { spec } = desired.revision;
  const checkpoints = { ...spec.checkpoints, ...wrong };
  return { ...input, desired: { valid: true, revision: { ...desired.revision, spec: { ...spec, checkpoints } } } };
}

function completeTooEarly(status: FlinkSavepointStatus, nowMs: number): FlinkSavepointStatus {
  const { step: _step, ...rest } = status;
  const path = 's3://bucket/checkpoints/jobs/orders/savepoints/guessed';
  return { ...rest, state: 'Completed', kind: 'Savepoint', path, checkpointId: 1, completedTime: new Date(nowMs).toISOString() };
}

function writingLater({ store }: SavepointControllerOptions): SavepointControllerOptions['store'] {
  return new Proxy(store, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name);
      if (name === 'updateStatus') {
        return async (...[read, status]: Parameters<typeof target.updateStatus>) => {
          // Somebody else's problem, a moment later.
          void target.updateStatus(read, status).catch(() => undefined);
          return { ...read, status };
        };
      }
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}
