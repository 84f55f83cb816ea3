import { Credentials, formatKeyFile } from '@flinkjob/runtime/credentials';
import { deriveJobKeys, type KeyedJob } from './derive-job-keys.ts';
import { type HeldKeys, periodsOf, turnKeys } from './held-keys.ts';
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
  /** By uid of the job, for those whose processes get a new file later than it is written. */
  readonly #given = new Map<string, HeldKeys>();

  constructor(options: JobCredentialsOptions) {
    this.#options = options;
  }

  /**
   * The file for the job's processes. `version` is another one when its keys are others. `held` is what they were given last, and in the answer what they are given now: where the file reaches all of them
   * at once, nobody needs to remember it.
   */
  keyFileOf(job: KeyedJob, held?: HeldKeys): { readonly version: string; readonly content: string; readonly held: HeldKeys } {
    const next = this.#turn(held);
    const keys = deriveJobKeys(this.#options.roots(), job, periodsOf(next));
    const version = [keys.current, ...keys.others].map(({ id }) => id).join(' ');
    return { version, content: formatKeyFile(keys), held: next };
  }

  /** What the job's processes have been given, or are about to get: whoever speaks to them signs as that file does, which the one before it accepts too. */
  given({ uid }: Pick<KeyedJob, 'uid'>, held: HeldKeys): void {
    this.#given.set(uid, held);
  }

  forget({ uid }: Pick<KeyedJob, 'uid'>): void {
    this.#given.delete(uid);
  }

  /** For requests to the job's JobManager. */
  callerOf(job: KeyedJob, role: 'Controller' | 'Tool'): Credentials {
    const keys = () => deriveJobKeys(this.#options.roots(), job, periodsOf(this.#given.get(job.uid) ?? this.#turn(undefined)));
    return new Credentials({ role, keys, nowMs: this.#options.nowMs });
  }

  #turn(held: HeldKeys | undefined): HeldKeys {
    const { nowMs, periodMs = keyPeriodMsDefault } = this.#options;
    return turnKeys(held, { nowMs: nowMs(), periodMs });
  }
}
