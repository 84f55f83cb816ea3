import { createHash } from 'node:crypto';
import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import { putObject } from '../../src/checkpoint-storage/verified-objects.ts';
import { stateSizeBytes } from '../../src/core/checkpoint/assemble-manifest.ts';
import type { CheckpointManifest, KeyedStatePart, StateHandle } from '../../src/core/checkpoint/manifest.ts';
import { encodeManifest } from '../../src/core/checkpoint/manifest-format.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { JobGraph } from '../../src/core/job-graph/job-graph.ts';
import type { CheckpointRecord } from '../../src/core/lineage/entries.ts';
import { type CheckpointKind, checkpointDirectory, manifestPath, sharedFilePath } from '../../src/core/lineage/object-paths.ts';
import { LineageLog } from '../../src/job-manager/lineage-log.ts';
import { wordCountGraph } from './job-graphs.ts';
import { openRequest } from './lineage-builder.ts';

let nonces = 0;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * A lineage of the word count with its files in a storage, without a job: opened by its JobManager, whose checkpoints name files in their own folders
 * and in `shared/`. What the files hold nobody reads.
 */
export class StoredLineage {
  readonly storage: CheckpointStorage;
  readonly log: LineageLog;
  readonly #clock: Clock;

  private constructor(storage: CheckpointStorage, log: LineageLog, clock: Clock) {
    this.storage = storage;
    this.log = log;
    this.#clock = clock;
  }

  static async open(storage: CheckpointStorage, clock: Clock, attempt = 1): Promise<StoredLineage> {
    const log = await LineageLog.read({ storage, clock, log: silent, nonce: () => `stored-${++nonces}` });
    const { nowMs: _nowMs, ...request } = openRequest({ attempt: { number: attempt, token: `attempt-${attempt}` } });
    await log.open(request);
    return new StoredLineage(storage, log, clock);
  }

  /** Equal `content` of a table is an equal name, as with content that did not change. */
  async complete(
    options: { readonly kind?: CheckpointKind; readonly content?: string; readonly graph?: JobGraph } = {},
  ): Promise<CheckpointRecord> {
    const { kind = 'Checkpoint', content = 'unchanged', graph = wordCountGraph() } = options;
    const { epoch = 0, view } = this.log;
    const checkpointId = view.nextCheckpointId;
    const directory = checkpointDirectory({ checkpointId, epoch, kind });
    const parts: KeyedStatePart[] = [];
    for (const [index, keyGroups] of [
      { first: 0, last: 63 },
      { first: 64, last: 127 },
    ].entries()) {
      const handle = await this.#put(`${directory}/counts-${index}-a1.part`, `part ${index} of ${checkpointId}`);
      const table = await this.#putTable(epoch, `${content}, part ${index}`);
      parts.push({ backend: 'HashMap', keyGroups, handle, files: [{ name: `00000${index}.sst`, handle: table }] });
    }
    const operator = { name: '', parallelism: 2, maxParallelism: 128, keyed: undefined, splits: undefined };
    const none = { positionType: undefined, committables: undefined };
    const keyed = graph.vertices[1]?.operators[0]?.keyed;
    const manifest: CheckpointManifest = {
      format: 1,
      ...{ checkpointId, epoch, executionAttempt: 1, triggeredAtMs: 1, kind, jobName: 'word-count' },
      operators: [
        {
          ...operator,
          ...none,
          uid: 'lines',
          positionType: { type: 'int' },
          splits: [{ splitId: 'split-0', positionBase64: 'Aw==' }],
        },
        {
          ...{ ...operator, ...none, uid: 'counts' },
          keyed: keyed && { description: keyed, keyGroupHash: 'murmur3-fmix32-ordered-v1', parts },
        },
        { ...operator, ...none, uid: 'out', committables: [{ checkpointId, data: `output of ${checkpointId}` }] },
      ],
    };
    const reference = await putObject(
      { storage: this.storage, clock: this.#clock },
      manifestPath(directory),
      encodeManifest(manifest),
    );
    const operationId = kind === 'Savepoint' ? `op-${checkpointId}` : undefined;
    await this.log.append({
      ...{ type: 'Completed', checkpointId, kind, manifest: reference, triggeredAtMs: 1, operationId },
      stateSizeBytes: stateSizeBytes(manifest),
    });
    const record = this.log.view.checkpoints.at(-1);
    if (record === undefined) {
      throw new Error('what was completed is in the view');
    }
    return record;
  }

  urlOf({ manifest }: CheckpointRecord): string {
    return `${this.storage.url}/${manifest.path.replace('/_metadata', '')}`;
  }

  async #put(path: string, text: string): Promise<StateHandle> {
    const ports = { storage: this.storage, clock: this.#clock };
    return { type: 'file', ...(await putObject(ports, path, new TextEncoder().encode(text))) };
  }

  async #putTable(epoch: number, text: string): Promise<StateHandle> {
    const sha256 = createHash('sha256').update(text).digest('hex');
    return await this.#put(sharedFilePath({ epoch, sha256, executionAttempt: 1, forgetRequest: 0 }), text);
  }
}
