import { JobError } from '../job-error.ts';

/** What an author declared cannot run. Codes are stable: `UidMissing`, `UidDuplicate` … */
export function invalidJob(code: string, message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code, remedy });
}
