import type { PlanResult } from '@flinkjob/runtime/process-config';
import type { Problem, Rollout } from '../api/flink-job-status.ts';
import { type DecideInput, revisionNamed } from './decision.ts';

export type PreFlightVerdict =
  | { readonly ok: true; readonly facts: Pick<Rollout, 'leastAttempt' | 'slotsRequired' | 'taskManagers'> }
  | { readonly ok: false; readonly problem: Problem };

/** Whether what pre-flight found allows the start: its own problems first, then what only the controller can know. */
export function judgePreFlight(input: DecideInput, rollout: Rollout, result: PlanResult): PreFlightVerdict {
  if (!result.ok) {
    return { ok: false, problem: mergeProblems(result.problems) };
  }
  const lost = stateWouldBeLost(input, rollout, result);
  if (lost !== undefined) {
    return { ok: false, problem: lost };
  }
  return sizeTaskManagers(input, rollout, result);
}

function mergeProblems(problems: PlanResult['problems']): Problem {
  const [first] = problems;
  if (first === undefined) {
    return {
      code: 'PreFlightFailed',
      message: 'pre-flight refused the revision without saying why',
      remedy: 'Its log may say more.',
    };
  }
  const remedy = [...new Set(problems.flatMap((problem) => problem.remedy ?? []))].join(' ');
  return {
    code: first.code,
    message: problems.map(({ message }) => message).join('; '),
    ...(remedy === '' ? {} : { remedy }),
  };
}

/** A job that had a checkpoint, or has one when it is stopped, never starts from nothing unless that is asked for in words. */
function stateWouldBeLost(input: DecideInput, rollout: Rollout, result: PlanResult): Problem | undefined {
  const { lastCheckpoint } = input.status;
  const moved = lastCheckpoint === undefined ? movedAwayFrom(input, rollout) : undefined;
  const nothingToLose = lastCheckpoint === undefined && moved === undefined;
  if (nothingToLose || result.lineage.restorePath !== undefined || rollout.restoreFrom === 'None') {
    return undefined;
  }
  const had = lastCheckpoint === undefined ? `runs with its state in ${moved}` : `has completed checkpoint ${lastCheckpoint.id}`;
  return {
    code: 'StateWouldBeLost',
    message: `spec.state.checkpointStorage: no checkpoint of this job is there, but it ${had}`,
    remedy:
      'Point it at the storage that holds the lineage, or set spec.restore.from to None with a new token to start with empty state.',
  };
}

/** The storage of the revision that has run, where the new one names another: the savepoint of the stop would be left behind there. */
function movedAwayFrom(input: DecideInput, rollout: Rollout): string | undefined {
  const before = input.current?.spec.state.checkpointStorage;
  const after = revisionNamed(input, rollout.revision)?.spec.state.checkpointStorage;
  return input.status.attempt?.ranTime !== undefined && before !== after ? before : undefined;
}

function sizeTaskManagers(input: DecideInput, rollout: Rollout, result: PlanResult): PreFlightVerdict {
  const revision = revisionNamed(input, rollout.revision);
  const slots = revision?.spec.taskManager.slots ?? 1;
  const needed = Math.max(1, Math.ceil(Math.max(result.slotsRequired, revision?.spec.job.parallelism ?? 1) / slots));
  const replicas = revision?.spec.taskManager.replicas ?? needed;
  if (replicas < needed) {
    return {
      ok: false,
      problem: {
        code: 'NotEnoughSlots',
        message: `spec.taskManager.replicas: ${replicas} TaskManagers with ${slots} slots each are too few; the job needs ${result.slotsRequired} slots`,
        remedy: `Set spec.taskManager.replicas to ${needed} or more, or remove it.`,
      },
    };
  }
  const taskManagers = replicas + (revision?.spec.taskManager.spare ?? 0);
  const { preFlight } = input.facts;
  const room = preFlight?.state === 'Completed' ? preFlight.room : undefined;
  if (room !== undefined && taskManagers > room.taskManagersMax) {
    const { problem } = room;
    return {
      ok: false,
      problem: { ...problem, message: `there is no room for ${taskManagers} TaskManagers: ${problem.message}` },
    };
  }
  return {
    ok: true,
    facts: { leastAttempt: result.lineage.attemptNumber, slotsRequired: result.slotsRequired, taskManagers },
  };
}
