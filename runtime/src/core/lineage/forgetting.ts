import { sharedFileOfPath } from './object-paths.ts';

/**
 * Rule 8 for files that several checkpoints may name: no checkpoint in the lineage naming one is not enough, because a TaskManager may have it in
 * its database, and name it again with the next. So TaskManagers are asked first.
 */

/** Names in one request. A name is about a hundred bytes, and a message has a limit; what is left over is asked the next time. */
export const forgottenNameCountMax = 5_000;

/** Which of the names that could go have to be forgotten by every TaskManager first. */
export function namesToAsk(candidates: readonly string[]): readonly string[] {
  return candidates.filter((name) => sharedFileOfPath(name) !== undefined).slice(0, forgottenNameCountMax);
}

export interface ForgettingFacts {
  readonly epoch: number;
  /** What no TaskManager will name again: all of the running execution have said so, or nothing runs. */
  readonly forgotten: ReadonlySet<string>;
  /** What the acknowledgements of a checkpoint name whose fate is open. */
  readonly inFlight: ReadonlySet<string>;
  /** Of this attempt and earlier ones a TaskManager was lost whose lease may not have ended yet: it may still be uploading. 0: there is none. */
  readonly lostAttemptMax: number;
}

/** Of names that nothing in the lineage names any more: those that may be condemned now. The others wait. */
export function condemnableNames(candidates: readonly string[], facts: ForgettingFacts): readonly string[] {
  const { epoch, forgotten, inFlight, lostAttemptMax } = facts;
  return candidates.filter((name) => {
    const file = sharedFileOfPath(name);
    if (file === undefined) {
      return true;
    }
    // Attempt 0 is the import before the first tasks, written by the JobManager itself.
    const mayBeUploading = file.epoch === epoch && file.executionAttempt > 0 && file.executionAttempt <= lostAttemptMax;
    return forgotten.has(name) && !inFlight.has(name) && !mayBeUploading;
  });
}

/** A TaskManager's answer: what it neither has nor is uploading. What it has stays, so that it need not be written again. */
export function forgettableNames(asked: readonly string[], held: ReadonlySet<string>): readonly string[] {
  return asked.filter((name) => !held.has(name));
}
