import { exitCodes } from '../api/process-config.ts';
import { StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { JobError } from '../core/job-error.ts';

/** Says on standard error what went wrong and what to do, and gives the exit code: what can never work must not be restarted. */
export function reportError(error: unknown): number {
  if (error instanceof StorageError) {
    // It says what to do itself.
    process.stderr.write(`error: ${error.message} [CheckpointStorageFailed]\n`);
    return error.retry === 'never' ? exitCodes.unusable : exitCodes.failed;
  }
  if (!(error instanceof JobError)) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return exitCodes.failed;
  }
  process.stderr.write(`error: ${error.message} [${error.code}]\n${error.remedy === undefined ? '' : `  ${error.remedy}\n`}`);
  return error.retry === 'never' ? exitCodes.unusable : exitCodes.failed;
}
