import { Credentials, formatKeyFile } from '@flinkjob/runtime/credentials';
import { deriveJobKeys, type KeyedJob } from './derive-job-keys.ts';
import type { RootKeys } from './root-keys.ts';

/** How long a key signs. Somebody who has copied the keys of a job can use them for two of these at the longest. */
const keyPeriodMsDefault = 86_400_000;

export interface JobCredentialsOptions {
  readonly roots: () => RootKeys;
  readonly nowMs: () => number;
  readonly periodMs?: number;
}

/** What a job's processes are given to prove themselves with, and what a controller speaks to them with; both derived, nothing kept. */
export class JobCredentials {
  readonly #options: JobCredentialsOptions;

  constructor(options: JobCredentialsOptions) {
    this.#options = options;
  }

  /** The file for the job's processes. `version` is another one when its keys are others. */
  keyFileOf(job: KeyedJob): { readonly version: string; readonly content: string } {
    const keys = this.#keysOf(job);
    const version = [keys.current, ...keys.others].map(({ id }) => id).join(' ');
    return { version, content: formatKeyFile(keys) };
  }

  /** For requests to the job's JobManager. */
  callerOf(job: KeyedJob, role: 'Controller' | 'Tool'): Credentials {
    return new Credentials({ role, keys: () => this.#keysOf(job), nowMs: this.#options.nowMs });
  }

  #keysOf(job: KeyedJob) {
    const { roots, nowMs, periodMs = keyPeriodMsDefault } = this.#options;
    return deriveJobKeys(roots(), job, { nowMs: nowMs(), periodMs });
  }
}
