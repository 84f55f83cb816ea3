import type { HeldKeys } from '../../credentials/held-keys.ts';
import type { JobCredentials } from '../../credentials/job-credentials.ts';
import type { ObjectClient } from '../../kubernetes/object-client.ts';
import type { Log } from '../../log.ts';
import type { JobReference } from '../platform.ts';
import { keyRecordOf, keySecretOf, recordedIn } from './key-secret.ts';
import { type ConfigMap, kinds } from './kubernetes-objects.ts';
import { keySecretName } from './names.ts';

interface Delivered {
  readonly version: string;
  readonly held: HeldKeys;
}

/**
 * Writes the keys of jobs, and when they turn writes them anew. The Secret is never read; which keys are in it, and not the keys themselves, stands in a ConfigMap beside it, so that whoever
 * comes after an absence turns them without keeping pods apart.
 */
export class KeyDelivery {
  readonly #client: ObjectClient;
  readonly #credentials: JobCredentials | undefined;
  readonly #log: Log;
  /** What this process has written last, by uid of the job. */
  readonly #delivered = new Map<string, Delivered>();

  constructor({ client, credentials, log }: { client: ObjectClient; credentials?: JobCredentials | undefined; log: Log }) {
    this.#client = client;
    this.#credentials = credentials;
    this.#log = log;
  }

  get isPossible(): boolean {
    return this.#credentials !== undefined;
  }

  /** Whether the job has the keys that are due, as this process has written them. */
  isDelivered(job: JobReference): boolean {
    const last = this.#delivered.get(job.uid);
    return last !== undefined && this.#credentials?.keyFileOf(job, last.held).version === last.version;
  }

  /** Pods go on with the keys that they have until it works. */
  async turn(job: JobReference): Promise<void> {
    if (this.isDelivered(job)) {
      return;
    }
    try {
      await this.deliver(job);
    } catch (err) {
      this.#log.warn({ err, namespace: job.namespace, flinkJob: job.name }, 'the keys of the job cannot be written');
    }
  }

  /** The keys are there when this returns. */
  async deliver(job: JobReference): Promise<void> {
    if (this.#credentials === undefined) {
      return;
    }
    const before = this.#delivered.get(job.uid)?.held ?? (await this.#recorded(job));
    const { version, content, held } = this.#credentials.keyFileOf(job, before);
    await this.#client.apply(keySecretOf(job, content));
    // Afterwards: until it is recorded, the turn begins with the same step again.
    if (held !== before) {
      await this.#client.apply(keyRecordOf(job, held));
    }
    this.#delivered.set(job.uid, { version, held });
    this.#credentials.given(job, held);
  }

  forget(job: JobReference): void {
    this.#delivered.delete(job.uid);
    this.#credentials?.forget(job);
  }

  async #recorded(job: JobReference): Promise<HeldKeys | undefined> {
    const reference = { ...kinds.configMap, namespace: job.namespace, name: keySecretName(job) };
    const found = await this.#client.get<ConfigMap>(reference);
    return found === undefined ? undefined : recordedIn(found);
  }
}
