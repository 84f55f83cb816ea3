import { z } from 'zod';
import { JobError } from '../core/job-error.ts';

/** Shared by all processes of one job and by whoever may steer it. `id` is no secret: a token names by it the key that it is signed with. */
export interface JobKey {
  readonly id: string;
  readonly secret: Buffer;
}

/**
 * `current` signs. The others are accepted too: those of the period before and of the one to come, so that a file that reaches two processes at two moments
 * never keeps them apart.
 */
export interface JobKeys {
  /** `namespace/name/uid`. */
  readonly job: string;
  readonly current: JobKey;
  readonly others: readonly JobKey[];
}

/** As HMAC-SHA-256 takes it whole. */
export const keySizeBytes = 32;

const Key = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'has to be 1 to 64 letters, digits, dashes or underscores'),
  secret: z
    .base64()
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((secret) => secret.length === keySizeBytes, `has to be ${keySizeBytes} bytes in Base64`),
});

/** Fields that a newer controller adds are no error: it writes for older runtimes, too. */
const KeyFile = z.object({ format: z.literal(1), job: z.string().min(1), current: Key, others: z.array(Key) });

export function formatKeyFile({ job, current, others }: JobKeys): string {
  const written = ({ id, secret }: JobKey) => ({ id, secret: secret.toString('base64') });
  return `${JSON.stringify({ format: 1, job, current: written(current), others: others.map(written) }, undefined, 2)}\n`;
}

/** Throws `CredentialsUnreadable`, which never repeats what is in the file. */
export function parseKeyFile(text: string, path: string): JobKeys {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw credentialsUnreadable(path, 'it is not JSON');
  }
  const parsed = KeyFile.safeParse(content);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`);
    throw credentialsUnreadable(path, problems.join('; '));
  }
  const { job, current, others } = parsed.data;
  return { job, current, others };
}

export function credentialsUnreadable(path: string, why: string, cause?: unknown): JobError {
  return new JobError(`the credentials ${path} cannot be used: ${why}`, {
    ...{ domain: 'external', retry: 'backoff', code: 'CredentialsUnreadable', cause },
    remedy: 'The controller writes this file; see that it runs and may write it.',
  });
}
