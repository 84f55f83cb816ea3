import { JobError } from '../core/job-error.ts';

const otherCheckpoint =
  'Restore the file from a backup, or start from another checkpoint with restore.from: Path; `flinkjob lineage DIR` lists them.';

/** An object that a checkpoint names is not what was written. `where` is its place, and `problem` goes on from there: `is missing`. */
export function checkpointDamaged(where: string, problem: string, remedy: string = otherCheckpoint): JobError {
  return new JobError(`${where} ${problem}`, { domain: 'external', retry: 'never', code: 'CheckpointDamaged', remedy });
}
