import { JobError } from '../../core/job-error.ts';

export function damaged(what: string): JobError {
  return new JobError(`keyed state in the canonical format is truncated or changed: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateCorrupt',
    remedy: 'Restore an older checkpoint or a savepoint, and look for what changed the files in checkpoint storage.',
  });
}
