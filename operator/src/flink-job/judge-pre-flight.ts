import type { PlanResult } from '@flinkjob/runtime/process-config';
import type { Problem, Rollout } from '../api/flink-job-status.ts';
import { isSameStorage, normalizedStorageUrl } from '../api/storage-url.ts';
import { currentStorage, type DecideInput, revisionNamed } from './decision.ts';
import { fromRestoreFields, isNewRestoreRequest, restoreRequestOf } from './restore-request.ts';
import type { ProvenByPreFlight } from './rollout-states.ts';

export type PreFlightVerdict =
  | { readonly ok: true; readonly facts: ProvenByPreFlight }
  | { readonly ok: false; readonly problem: Problem };

interface Asked {
  readonly input: DecideInput;
  readonly rollout: Rollout;
  readonly result: PlanResult;
  /** Undefined where the job stays in its storage. */
  readonly moved: Moved | undefined;
}

interface Moved {
  /** The storage that the job would leave. */
  readonly from: string;
  /** Its last attempt was to go from there to where this one goes, too, and did not get there. */
  readonly isUnderWay: boolean;
}

/** Whether what pre-flight found allows the start: its own problems first, then what only the controller can know. */
export function judgePreFlight(input: DecideInput, rollout: Rollout, result: PlanResult): PreFlightVerdict {
  if (!result.ok) {
    return { ok: false, problem: mergeProblems(result.problems) };
  }
  const asked: Asked = { input, rollout, result, moved: movedAwayFrom(input, rollout, result) };
  const lost = stateWouldBeLost(asked) ?? wouldBeRewound(asked) ?? wouldComeBackWithLess(input, rollout, result);
  if (lost !== undefined) {
    return { ok: false, problem: lost };
  }
  const sized = sizeTaskManagers(input, rollout, result);
  return sized.ok ? { ok: true, facts: { ...sized.facts, leftStorage: storageLeftBy(asked) } } : sized;
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
function stateWouldBeLost(asked: Asked): Problem | undefined {
  const { input, result, moved } = asked;
  const { lastCheckpoint } = input.status;
  const nothingToLose = lastCheckpoint === undefined && moved === undefined;
  if (nothingToLose || result.lineage.restorePath !== undefined || asksForNothing(asked)) {
    return undefined;
  }
  const had =
    lastCheckpoint === undefined
      ? `was started with its state in ${moved?.from}`
      : `has completed checkpoint ${lastCheckpoint.id}`;
  return {
    code: 'StateWouldBeLost',
    message: `spec.state.checkpointStorage: no checkpoint of this job is there, but it ${had}`,
    remedy: movingInWords,
  };
}

const movingInWords =
  'Point it at the storage that holds the lineage. To take the state along, set spec.restore to { from: Path, path: the URL of its last savepoint, token: a new one }; to start with empty state, { from: None, token: a new one }. A storage honours a token once.';

/**
 * A storage that the job has left holds what it was then. Nothing that it has done since would be there, and a rewind is asked for in words; what was honoured there once is no word any more. One
 * that was copied after the job had stopped knows the attempt. A way back has its own rules.
 */
function wouldBeRewound({ input, rollout, result, moved }: Asked): Problem | undefined {
  const { attempt } = input.status;
  const { restorePath, attemptNumber } = result.lineage;
  if (rollout.reason === 'Rollback' || moved === undefined || restorePath === undefined || knowsAttempt(input, result)) {
    return undefined;
  }
  const path = normalizedStorageUrl((rollout.restorePath ?? '').replace(/\/_metadata\/*$/, ''));
  if (rollout.restoreFrom === 'Path' && (path === restorePath || path.endsWith(`/${restorePath}`))) {
    return undefined;
  }
  return {
    code: 'StateWouldBeLost',
    message: `spec.state.checkpointStorage: what is there is ${restorePath} of attempt ${attemptNumber}, and the job was started with its state in ${moved.from} since, ${moved.isUnderWay ? 'before' : 'as'} attempt ${attempt?.number}`,
    remedy: movingInWords,
  };
}

/** Whether the newest attempt there is the one that the job was started as last. Another FlinkJob of this name may have had one of the same number. */
function knowsAttempt({ status: { attempt } }: DecideInput, { lineage }: PlanResult): boolean {
  const { attemptNumber, attemptToken } = lineage;
  return attempt?.number === attemptNumber && (attemptToken === undefined || attemptToken === attempt.token);
}

/** In the lineage of the job a token is honoured once. In another storage nobody knows what was honoured here, so there only a new request counts. */
function asksForNothing({ input: { current, status }, rollout, moved }: Asked): boolean {
  if (rollout.restoreFrom !== 'None' || moved === undefined || moved.isUnderWay) {
    return rollout.restoreFrom === 'None';
  }
  const before = current === undefined ? status.attempt && fromRestoreFields(status.attempt) : restoreRequestOf(current.spec);
  return before === undefined || isNewRestoreRequest(before, fromRestoreFields(rollout));
}

/**
 * The storage of the revision that was started last, where the new one names another: the savepoint of the stop would be left behind there. Also of one that was never seen to run: it may
 * have run, and completed checkpoints, while nobody looked.
 */
function movedAwayFrom(input: DecideInput, rollout: Rollout, result: PlanResult): Moved | undefined {
  const { attempt } = input.status;
  const before = currentStorage(input);
  const after = revisionNamed(input, rollout.revision)?.spec.state.checkpointStorage;
  if (attempt === undefined || after === undefined) {
    return undefined;
  }
  if (before !== undefined && !isSameStorage(before, after)) {
    return { from: before, isUnderWay: false };
  }
  if (knowsAttempt(input, result)) {
    return undefined;
  }
  // Without any, somebody has deleted the revision, and the status is from before it said where.
  const left = before === undefined ? 'another storage' : attempt.leftStorage;
  return left === undefined ? undefined : { from: left, isUnderWay: before !== undefined };
}

/** Until the attempt is seen to have opened its lineage, the state may still be there. One that goes back, or to a copy, has left nothing. */
function storageLeftBy({ input, rollout, result, moved }: Asked): string | undefined {
  const isKnown = currentStorage(input) !== undefined && !knowsAttempt(input, result);
  return isKnown && rollout.reason !== 'Rollback' ? moved?.from : undefined;
}

/** The last stable revision, on its way back, where the newest checkpoint holds nothing, or less, of what it knew: it would start empty, and nobody has asked for that. */
function wouldComeBackWithLess(input: DecideInput, rollout: Rollout, result: PlanResult): Problem | undefined {
  return rollout.reason === 'Rollback' && rollout.restoreFrom === 'Latest' ? missingOnTheWayBack(input, result) : undefined;
}

/** What the last stable revision would miss in the newest checkpoint of the lineage. */
export function missingOnTheWayBack(input: DecideInput, result: PlanResult): Problem | undefined {
  const { rollbackTarget } = input.status;
  if (rollbackTarget === undefined || rollbackTarget.checkpointId === 0 || keepsNoState(input)) {
    return undefined;
  }
  if (result.lineage.restorePath === undefined) {
    return {
      code: 'StateWouldBeLost',
      message: `the lineage was started from nothing, and no checkpoint was completed since, so revision ${rollbackTarget.revision} would start empty`,
    };
  }
  // Of a runtime that does not say it nothing is known.
  const missing = result.startsEmpty ?? [];
  const what = missing.map((uid) => `'${uid}'`).join(', ');
  return missing.length === 0
    ? undefined
    : {
        code: 'StateMissingInSnapshot',
        message: `${result.lineage.restorePath} holds no state of ${what}, which would start empty`,
      };
}

/** Each upgrade of it starts from nothing, and the spec says so. */
export function keepsNoState({ desired }: Pick<DecideInput, 'desired'>): boolean {
  return desired.valid && desired.revision.spec.upgrade.mode === 'Stateless';
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
