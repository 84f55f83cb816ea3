import type { FlinkJobSpecInput } from '../../../src/api/flink-job-spec.ts';
import type { Random } from './random.ts';

const usualStorage = 's3://bucket/checkpoints';

export type Emphasis = 'Pauses' | 'Schedules' | 'TimesToLive' | 'Namespaces' | 'StorageMoves';

/** Specs as people write them: what they change from one to the next, and the mistakes that they make. */
export class GeneratedSpecs {
  readonly #random: Random;
  readonly #good = new WeakSet<object>();
  #tokens = 0;

  readonly #emphasis: Emphasis | undefined;

  constructor(random: Random, emphasis: Emphasis | undefined) {
    this.#random = random;
    this.#emphasis = emphasis;
  }

  isGood(spec: object): boolean {
    return this.#good.has(spec);
  }

  good(storage = usualStorage): FlinkJobSpecInput {
    const random = this.#random;
    const withNone = random.chance(this.#emphasis === 'StorageMoves' ? 0.4 : 0.08);
    this.#tokens += 1;
    const finishes = random.chance(this.#emphasis === 'TimesToLive' ? 0.8 : 0.15)
      ? { finishes: String(random.between(2, 20)) }
      : {};
    const spec: FlinkJobSpecInput = {
      image: `registry.example/job:${random.between(1, 3)}`,
      job: {
        module: '/app/job.js',
        args: { version: String(random.between(1, 3)), ...finishes },
        parallelism: random.between(1, 3),
        desiredState: random.chance(0.15) ? 'Suspended' : 'Running',
      },
      upgrade: {
        mode: random.pick(['Savepoint', 'Savepoint', 'LastState', 'Stateless'] as const),
        stopTimeoutSeconds: random.pick([10, 60]),
        ...(random.chance(0.4) ? { rollback: this.#rollback() } : {}),
      },
      restore: withNone ? { from: 'None', token: random.chance(0.5) ? 'again' : `token-${this.#tokens}` } : {},
      state: { checkpointStorage: storage },
      checkpoints: {
        onDelete: this.#emphasis === 'Namespaces' ? 'Purge' : random.pick(['Retain', 'Retain', 'Savepoint', 'Purge'] as const),
        deleteTimeoutSeconds: random.pick([15, 30, 60]),
        timeoutSeconds: random.pick([20, 60]),
      },
      taskManager: { slots: random.between(1, 2) },
      restartNonce: random.chance(0.2) ? random.between(1, 3) : 0,
      ...(random.chance(this.#emphasis === 'Schedules' ? 0.9 : 0.25) ? { savepoints: this.#schedule() } : {}),
      // Also on jobs that have no end, where it means nothing.
      ...(random.chance('finishes' in finishes ? 0.7 : 0.1) ? { ttlSecondsAfterFinished: random.between(0, 60) } : {}),
    };
    this.#good.add(spec);
    return spec;
  }

  bad(): FlinkJobSpecInput {
    const spec = this.good();
    this.#good.delete(spec);
    const all = ['Image', 'Plan', 'Running', 'Schema', 'Storage', 'Storage'] as const;
    const bad = this.#emphasis === 'StorageMoves' ? 'Storage' : this.#random.pick(all);
    const { job } = spec;
    switch (bad) {
      case 'Image':
        return { ...spec, image: 'registry.example/missing:1' };
      case 'Plan':
        return { ...spec, job: { ...job, args: { ...job.args, broken: 'plan' } } };
      case 'Running':
        return { ...spec, job: { ...job, args: { ...job.args, broken: 'running' } } };
      case 'Schema':
        return { ...spec, job: { ...job, paralelism: 2 } } as FlinkJobSpecInput;
      case 'Storage':
        return { ...spec, state: { checkpointStorage: 's3://other-bucket/checkpoints' } };
    }
  }

  #rollback(): NonNullable<NonNullable<FlinkJobSpecInput['upgrade']>['rollback']> {
    const random = this.#random;
    return {
      mode: random.pick(['Automatic', 'Automatic', 'Manual'] as const),
      stableCheckpoints: random.between(1, 3),
      deadlineSeconds: random.pick([20, 60, 120]),
      maxRestarts: random.between(0, 3),
      lag: random.pick(['NotGrowing', 'Ignore'] as const),
      allowRewind: random.chance(0.5),
    };
  }

  /** Times that come up within the minutes of a life. */
  #schedule(): NonNullable<FlinkJobSpecInput['savepoints']> {
    const random = this.#random;
    return {
      schedule: random.pick(['* * * * *', '* * * * *', '*/2 * * * *']),
      retain: random.between(1, 2),
      missedRun: random.pick(['RunOnce', 'Skip'] as const),
      startDeadlineSeconds: random.pick([10, 60]),
      jitterSeconds: random.pick([0, 0, 20]),
      ...(random.chance(0.3) ? { retainSeconds: 60 } : {}),
      ...(random.chance(0.5) ? { drill: { schedule: '* * * * *' } } : {}),
    };
  }
}
