import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import pino from 'pino';
import { FlinkJobManifest, type StoredFlinkJob } from '../../src/api/flink-job.ts';
import type { FlinkJobSpecInput } from '../../src/api/flink-job-spec.ts';
import type { FlinkJobStatus, Rollout } from '../../src/api/flink-job-status.ts';
import { type LocalOperator, openLocalOperator } from '../../src/local-operator.ts';

/** Only matters when something is broken. */
const deadlineMs = 600_000;
/** Quicker looks: the time of these tests is not to go into waiting. */
const limits = { stabilizingPollMs: 200, idlePollMs: 200 };
const key = { namespace: 'default', name: 'subject' };

interface LineageEntry {
  readonly type: string;
}

interface Interruption {
  readonly state: Rollout['state'];
  readonly happen: () => Promise<void>;
}

/**
 * One FlinkJob over real processes, with the controller in this process, so that something can happen at an exact step: right after the
 * controller has stored that it is there, and before it acts on that.
 */
export class ScriptedChanges {
  readonly directory = mkdtempSync(join(tmpdir(), 'flinkjob-scripted-'));
  readonly outputDirectory = join(this.directory, 'out');
  readonly #storageDirectory = join(this.directory, 'storage');
  #operator!: LocalOperator;
  #interruption: Interruption | undefined;
  #failure: unknown;
  readonly #stops = new Map<string, Rollout>();

  static async open(t: TestContext): Promise<ScriptedChanges> {
    const scene = new ScriptedChanges();
    mkdirSync(scene.outputDirectory);
    const stop = new AbortController();
    const log = pino({ level: 'silent' });
    scene.#operator = await openLocalOperator({ workDirectory: join(scene.directory, 'work'), log, limits });
    scene.#listen();
    const running = scene.#operator.run(stop.signal);
    t.after(async () => {
      await scene.delete();
      stop.abort();
      await running;
      rmSync(scene.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    });
    return scene;
  }

  #listen(): void {
    const { store } = this.#operator;
    const updateStatus = store.updateStatus.bind(store);
    store.updateStatus = async (read, status) => {
      const written = await updateStatus(read, status);
      const due = this.#interruption;
      const { rollout } = status;
      // A stop is under way once it has an id; before, the step has only been chosen.
      const isUnderWay = rollout?.state !== 'Stopping' || rollout.operationId !== undefined;
      if (rollout?.state === 'Stopping' && isUnderWay) {
        this.#stops.set(`${read.metadata.uid} ${rollout.id}`, rollout);
      }
      if (due?.state === rollout?.state && isUnderWay) {
        this.#interruption = undefined;
        await due?.happen().catch((error: unknown) => {
          this.#failure = error;
        });
      }
      return written;
    };
  }

  /** Once, when the next rollout has come to that state. */
  when(state: Rollout['state'], happen: () => Promise<void>): void {
    assert.equal(this.#interruption, undefined, 'what was to happen before has happened');
    this.#interruption = { state, happen };
  }

  async apply(spec: Pick<FlinkJobSpecInput, 'job'> & Partial<FlinkJobSpecInput>): Promise<void> {
    const whole: FlinkJobSpecInput = {
      state: { checkpointStorage: pathToFileURL(this.#storageDirectory).href },
      checkpoints: { intervalSeconds: 0.25 },
      restartStrategy: { type: 'FixedDelay', attempts: 1000, delaySeconds: 0.1 },
      ...spec,
    };
    const head = { apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', metadata: key };
    await this.#operator.store.apply(FlinkJobManifest.parse({ ...head, spec: whole }));
  }

  /** As a person does it, who does not wait. */
  async markForDeletion(): Promise<void> {
    await this.#operator.store.delete(key);
  }

  async delete(): Promise<void> {
    await this.markForDeletion();
    await this.until('the FlinkJob is gone', (job) => job === undefined);
  }

  async untilStatus(what: string, condition: (status: FlinkJobStatus) => boolean): Promise<FlinkJobStatus> {
    const found = await this.until(what, (job) => job?.status !== undefined && condition(job.status));
    assert.ok(found?.status !== undefined);
    return found.status;
  }

  /** Until the spec as it is has been brought, is stable, and nothing is under way. */
  async untilStable(what: string): Promise<FlinkJobStatus> {
    const found = await this.until(
      what,
      (job) =>
        job?.status?.observedGeneration === job?.metadata.generation &&
        job?.status?.state === 'Running' &&
        job.status.rollout === undefined &&
        job.status.stable?.revision === job.status.revision,
    );
    assert.ok(found?.status !== undefined);
    return found.status;
  }

  /** The argument `version` of the revision that the status calls the present one. */
  async presentVersion(): Promise<number> {
    const { store } = this.#operator;
    const job = await store.get(key);
    const revision = job && (await store.getRevision(key, job.metadata.uid, job.status?.revision ?? ''));
    assert.ok(revision !== undefined, 'the present revision is kept');
    return Number(revision.spec.job.args['version']);
  }

  async until(what: string, condition: (job: StoredFlinkJob | undefined) => boolean): Promise<StoredFlinkJob | undefined> {
    const startedAtMs = performance.now();
    for (;;) {
      assert.ifError(this.#failure);
      const job = await this.#operator.store.get(key);
      if (condition(job)) {
        assert.equal(this.#interruption, undefined, `${what}, and what was to happen on the way has happened`);
        return job;
      }
      assert.ok(performance.now() - startedAtMs < deadlineMs, `${what}: ${JSON.stringify(job?.status, undefined, 1)}`);
      await delay(50);
    }
  }

  /** What is in checkpoint storage, read directly: file by file, below the lineage's folder. */
  files(): readonly string[] {
    const root = this.#lineageDirectory;
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
      .toSorted();
  }

  lineage(): readonly LineageEntry[] {
    return this.files()
      .filter((file) => /^lineage\/\d+\.json$/.test(file))
      .map((file) => JSON.parse(readFileSync(join(this.#lineageDirectory, file), 'utf8')) as LineageEntry);
  }

  /** How jobs were stopped for rollouts of that kind, in the order of the rollouts. */
  stopModes(reason: Rollout['reason']): readonly Rollout['stopMode'][] {
    return [...this.#stops.values()].filter((stop) => stop.reason === reason).map(({ stopMode }) => stopMode);
  }

  get #lineageDirectory(): string {
    return join(this.#storageDirectory, key.namespace, key.name);
  }
}
