import type { Condition } from '../api/conditions.ts';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { currentDocument, type DecideInput, toMs } from './decision.ts';

/** What the newest restore drill of a savepoint of the job came to. */
export interface DrillFact {
  /** Of the FlinkSavepoint. */
  readonly savepoint: string;
  readonly path: string | undefined;
  readonly endedTime: string;
  /** Why it cannot be restored; undefined when all of it was read. */
  readonly problem: string | undefined;
}

type Proof = NonNullable<FlinkJobStatus['restorable']>;

/**
 * What has shown last that the job could be restored, or that it could not: a drill, or a start whose tasks ran with what it restored. A proof is of a moment; it goes when the savepoint that it is of goes,
 * and when the job has nothing left to restore.
 */
export function foldRestorable(input: DecideInput): FlinkJobStatus {
  const { status, facts } = input;
  const startedEmpty = currentDocument(status, facts)?.restored?.source === 'Nothing';
  if (startedEmpty && status.lastCheckpoint === undefined) {
    return status.restorable === undefined ? status : { ...status, restorable: undefined };
  }
  const known = [startProof(status), drillProof(facts.drill), kept(status.restorable, facts.drill)].filter(
    (proof) => proof !== undefined,
  );
  // Of two of one moment the first: what is known anew.
  const newest = known.reduce<Proof | undefined>(
    (best, proof) => (best === undefined || toMs(proof.time) > toMs(best.time) ? proof : best),
    undefined,
  );
  return newest === undefined && status.restorable === undefined ? status : { ...status, restorable: newest };
}

function startProof({ attempt }: FlinkJobStatus): Proof | undefined {
  const { ranTime, restoredPath } = attempt ?? {};
  return ranTime === undefined || restoredPath === undefined
    ? undefined
    : { by: 'Start', result: 'Restored', path: restoredPath, time: ranTime };
}

function drillProof(drill: DrillFact | 'None' | undefined): Proof | undefined {
  if (drill === undefined || drill === 'None') {
    return undefined;
  }
  const { savepoint, path, endedTime, problem } = drill;
  const result = problem === undefined ? 'Restored' : 'NotRestorable';
  return { by: 'Drill', result, savepoint, path, time: endedTime, message: problem };
}

/** While it is not known which drills there are, what was known of them counts. */
function kept(before: Proof | undefined, drill: DrillFact | 'None' | undefined): Proof | undefined {
  return before?.by === 'Drill' && drill !== undefined ? undefined : before;
}

export function restorableVerdict({ status }: Pick<DecideInput, 'status'>): Pick<Condition, 'status' | 'reason' | 'message'> {
  const { restorable, lastCheckpoint } = status;
  if (lastCheckpoint === undefined && restorable === undefined) {
    return { status: 'Unknown', reason: 'NothingToRestore', message: 'No checkpoint or savepoint has been completed yet.' };
  }
  if (restorable === undefined) {
    return {
      status: 'Unknown',
      reason: 'NotProven',
      message:
        'No start and no drill has restored this job yet. A drill is asked for with spec.savepoints.drill, or by a FlinkSavepoint.',
    };
  }
  const { by, result, time, message } = restorable;
  const path = restorable.path === undefined ? '' : ` (${restorable.path})`;
  if (result === 'NotRestorable') {
    const why = message === undefined ? '' : `: ${message}`;
    return {
      status: 'False',
      reason: 'DrillFailed',
      message: `The drill of ${time} found that savepoint ${restorable.savepoint}${path} cannot be restored${why}`,
    };
  }
  return by === 'Start'
    ? {
        status: 'True',
        reason: 'RestoredAtStart',
        message: `The start of ${time} restored ${restorable.path}, and its tasks ran.`,
      }
    : {
        status: 'True',
        reason: 'DrillPassed',
        message: `The drill of ${time} read all of savepoint ${restorable.savepoint}${path}.`,
      };
}
