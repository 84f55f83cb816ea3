import { JobError } from '../core/job-error.ts';

/** `what` names the state and whose format it is in: "keyed state in the canonical format". Reading on would mean guessing. */
export function stateVersionUnknown(what: string, version: { readonly found: number; readonly known: number }): JobError {
  const { found, known } = version;
  return new JobError(`${what} was written in version ${found} of its format; this runtime knows versions up to ${known}`, {
    domain: 'user',
    retry: 'never',
    code: 'StateVersionUnknown',
    remedy: 'Read it with the runtime release that wrote it, or a newer one.',
  });
}
