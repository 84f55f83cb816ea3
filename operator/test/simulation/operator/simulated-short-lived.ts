import type { SavepointTask, SavepointTaskResult } from '@flinkjob/runtime/process-config';
import { planWith } from '../../fakes/flink-job-builders.ts';
import type { JobConfig } from './simulated-job-manager.ts';
import type { SimulatedCheckpoint, SimulatedLineage } from './simulated-lineage.ts';
import type { SimulatedPod } from './simulated-pod.ts';
import type { SimulatedStorage } from './simulated-storage.ts';
import type { SimulationWorld } from './simulation-world.ts';

export type ShortLivedConfig = JobConfig & { readonly attemptNumber?: number; readonly task?: SavepointTask };

export interface PlanOutcome {
  readonly ok: boolean;
  readonly attemptNumber: number;
}

interface Surroundings {
  readonly world: SimulationWorld;
  readonly storage: SimulatedStorage;
  /** Whether this very process runs. */
  still(): boolean;
  exit(code: number, words: string): void;
  planned(config: JobConfig, result: PlanOutcome): void;
}

/** Processes that end by themselves with an answer: pre-flight, purge, tasks for savepoints. */
export function runShortLived(pod: SimulatedPod, config: ShortLivedConfig, around: Surroundings): void {
  later(around, 3_000, () => {
    switch (pod.component) {
      case 'preflight':
        plan(config, around);
        return;
      case 'savepoint':
        carryOut(config, around, pod);
        return;
      default:
        purge(config, around);
        return;
    }
  });
}

function later({ world, still }: Surroundings, withinMs: number, action: () => void): void {
  world.time.schedule(world.random.between(300, withinMs), () => (still() ? action() : undefined));
}

/** They wait for the storage, or give up over it. */
function isStorageAway(around: Surroundings, again: () => void): boolean {
  const { storage, world, exit } = around;
  if (storage.isAvailable) {
    return false;
  }
  if (world.random.chance(0.5)) {
    exit(1, JSON.stringify({ level: 50, err: { code: 'StorageUnavailable', message: 'the storage does not answer' } }));
  } else {
    later(around, 5_000, again);
  }
  return true;
}

function plan(config: JobConfig, around: Surroundings): void {
  if (isStorageAway(around, () => plan(config, around))) {
    return;
  }
  const lineage = around.storage.lineageOf(config.lineage);
  const attemptNumber = lineage.attempt?.number ?? 0;
  const { restore, job } = config;
  const isBroken = job.args['broken'] === 'plan';
  const restorePath = restore.from === 'Path' ? lineage.find(restore.path)?.path : lineage.head?.path;
  const missing = restore.from === 'Path' && restorePath === undefined;
  const problem = isBroken
    ? { code: 'JobModuleThrew', message: 'the module throws', remedy: 'Correct it.' }
    : { code: 'RestorePathMissing', message: 'there is no such checkpoint', remedy: 'Name another.' };
  const result = planWith({
    ...{ ok: !isBroken && !missing, problems: isBroken || missing ? [problem] : [], slotsRequired: job.parallelism },
    lineage: {
      ...{ attemptNumber, attemptToken: lineage.attempt?.token, epoch: lineage.epoch },
      ...{ restorePath, owner: undefined },
    },
  });
  around.planned(config, { ok: result.ok, attemptNumber });
  around.exit(0, JSON.stringify(result));
}

function purge(config: ShortLivedConfig, { storage, exit }: Surroundings): void {
  if (!storage.isAvailable) {
    exit(1, '');
    return;
  }
  const ok = storage.lineageOf(config.lineage).purge(config.attemptNumber ?? 0);
  const problem = { code: 'AttemptSuperseded', message: 'the lineage has a newer attempt' };
  exit(0, JSON.stringify(ok ? { ok } : { ok, problem }));
}

function carryOut(config: ShortLivedConfig, around: Surroundings, pod: SimulatedPod): void {
  const { task } = config;
  if (task === undefined || isStorageAway(around, () => carryOut(config, around, pod))) {
    return;
  }
  const result = answerTo(task, { lineage: around.storage.lineageOf(config.lineage), pod, nowMs: around.world.time.nowMs() });
  around.exit(result.ok ? 0 : 2, JSON.stringify(result));
}

function answerTo(
  task: SavepointTask,
  { lineage, pod, nowMs }: { readonly lineage: SimulatedLineage; readonly pod: SimulatedPod; readonly nowMs: number },
): SavepointTaskResult {
  switch (task.type) {
    case 'Find':
      return { ok: true, savepoint: foundAs(lineage, lineage.takenBy(task.operationIds)) };
    case 'Import': {
      const made = lineage.importOnce(task.token, nowMs);
      return made === undefined ? refusal('LineageInUse', 'the job has state') : { ok: true, savepoint: foundAs(lineage, made) };
    }
    case 'Dispose':
      lineage.release(task.location, pod.configMapName);
      return { ok: true, disposed: { isGone: !lineage.has(task.location), deletedCount: 1, deletedSizeBytes: 1 } };
    case 'Drill':
      return lineage.has(task.location)
        ? { ok: true, drill: { operatorCount: 1, rowCount: 1, fileCount: 1, sizeBytes: 1 } }
        : refusal('RestoreSourceGone', `${task.location} is not there`);
  }
}

function refusal(code: string, message: string): SavepointTaskResult {
  return { ok: false, problem: { code, message, remedy: undefined, retry: 'never' } };
}

function foundAs(lineage: SimulatedLineage, found: SimulatedCheckpoint | undefined): SavepointTaskResult['savepoint'] {
  return (
    found && {
      ...{ kind: found.kind, checkpointId: found.id, location: lineage.locationOf(found), sizeBytes: found.sizeBytes },
      ...{ completedAtMs: found.completedAtMs, stateFormat: 'Native' },
    }
  );
}
