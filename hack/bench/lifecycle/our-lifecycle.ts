import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RecoveryCluster } from '../state/recovery-cluster.ts';
import { disposeSavepoint } from './dispose-savepoint.ts';
import type { LifecycleCluster, LifecycleEngine, LifecycleSettings, SavepointFormat } from './lifecycle-engine.ts';

/**
 * The runtime's own processes. Every job has a JobManager and TaskManagers of its own, so the times of its restores begin with the start of processes. Places of
 * TaskManagers keep their local disk, as machines do.
 */
export const ourLifecycle: LifecycleEngine = {
  id: 'ours',
  name: 'FlinkJob',
  canBeTuned: false,
  // Runs unbuilt, from this checkout.
  prepare: async () => {},
  async open(settings) {
    await mkdir(join(settings.directory, 'checkpoints'));
    return new OurCluster(settings);
  },
};

class OurCluster implements LifecycleCluster {
  readonly #settings: LifecycleSettings;
  #attemptNumber = 0;
  #parallelism = 0;
  #job: RecoveryCluster | undefined;
  /** Places with a process. */
  readonly #places = new Set<number>();

  constructor(settings: LifecycleSettings) {
    this.#settings = settings;
  }

  async start({
    parallelism,
    savepoint,
  }: {
    readonly parallelism: number;
    readonly savepoint: string | undefined;
  }): Promise<void> {
    const { job, directory, checkpointIntervalSeconds, taskManagerMebibytes, signal } = this.#settings;
    await this.#end();
    this.#attemptNumber += 1;
    this.#parallelism = parallelism;
    this.#job = new RecoveryCluster({
      ...{ module: job.module, args: job.args, parallelism, directory, checkpointIntervalSeconds, taskManagerMebibytes, signal },
      ...{ checkpointStorage: pathToFileURL(join(directory, 'checkpoints')).href, environment: {} },
      attemptNumber: this.#attemptNumber,
      restore: savepoint === undefined ? { from: 'Latest' } : { from: 'Path', path: savepoint, token: randomUUID() },
    });
    await this.#job.startJobManager();
    for (let place = 0; place < parallelism; place++) {
      await this.#startTaskManager(place);
    }
  }

  async isRunning(): Promise<boolean> {
    return (await this.#running.status())?.state === 'Running';
  }

  checkpoints() {
    return this.#running.checkpoints();
  }

  savepoint(format: SavepointFormat) {
    return this.#running.savepoint(format);
  }

  stopWithSavepoint(format: SavepointFormat) {
    return this.#running.stopWithSavepoint(format);
  }

  async disposeSavepoint(path: string): Promise<void> {
    await disposeSavepoint(await this.#running.restUrl(), path, this.#settings.signal);
  }

  async provideSpare(): Promise<void> {
    for (let place = 0; this.#places.size <= this.#parallelism; place++) {
      if (!this.#places.has(place)) {
        await this.#startTaskManager(place);
      }
    }
    await this.#running.until('the registration of a spare TaskManager', async () => {
      await this.#running.status();
      const { busy, spare } = await this.#running.occupation();
      return busy.length === this.#parallelism && spare.length > 0 ? true : undefined;
    });
  }

  async killTaskManager(): Promise<void> {
    const [place] = (await this.#running.occupation()).busy;
    if (place === undefined) {
      throw new Error('no TaskManager has tasks');
    }
    this.#places.delete(place);
    await this.#running.killTaskManager(place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  get #running(): RecoveryCluster {
    if (this.#job === undefined) {
      throw new Error('no job was started');
    }
    return this.#job;
  }

  async #startTaskManager(place: number): Promise<void> {
    this.#places.add(place);
    await this.#running.startTaskManager(place);
  }

  async #end(): Promise<void> {
    await this.#job?.[Symbol.asyncDispose]();
    this.#job = undefined;
    this.#places.clear();
  }
}
