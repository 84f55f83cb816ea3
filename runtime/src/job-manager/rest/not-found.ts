import { JobError } from '../../core/job-error.ts';

export function notFound(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: notFoundCode, remedy });
}

export const notFoundCode = 'NotFound';
