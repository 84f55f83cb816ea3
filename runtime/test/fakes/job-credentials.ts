import { randomBytes } from 'node:crypto';
import { Credentials } from '../../src/credentials/credentials.ts';
import { type JobKey, type JobKeys, keySizeBytes } from '../../src/credentials/job-keys.ts';
import type { Role } from '../../src/credentials/token.ts';

export function jobKey(id: string): JobKey {
  return { id, secret: randomBytes(keySizeBytes) };
}

export function jobKeys(overrides: Partial<JobKeys> = {}): JobKeys {
  return { job: 'default/words/uid-1', current: jobKey('k1'), others: [jobKey('k0'), jobKey('k2')], ...overrides };
}

/** Of a process of the job whose keys these are, at a time that stands still unless `nowMs` moves it. */
export function credentialsOf(role: Role, keys: JobKeys, nowMs: () => number = () => 1_000_000): Credentials {
  return new Credentials({ role, keys: () => keys, nowMs });
}
