import { JobError } from '../../core/job-error.ts';

export function damaged(what: string): JobError {
  return new JobError(`keyed state in the canonical format is truncated or changed: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateCorrupt',
    remedy: 'Restore an older checkpoint or a savepoint, and look for what changed the files in checkpoint storage.',
  });
}

export function unknownVersion(found: number, known: number): JobError {
  return new JobError(
    `keyed state was written in version ${found} of the canonical format; this runtime knows versions up to ${known}`,
    {
      domain: 'user',
      retry: 'never',
      code: 'StateVersionUnknown',
      remedy: 'Read it with the runtime release that wrote it, or a newer one.',
    },
  );
}
