import { tmpdir } from 'node:os';
import type { CheckpointManifest, KeyedStatePart } from '../core/checkpoint/manifest.ts';
import type { CheckpointSource } from '../savepoint-transfer/checkpoint-source.ts';
import { openPartRows } from '../state-backend/open-part-rows.ts';
import type { SnapshotRows } from '../state-backend/rows/snapshot-row.ts';
import { RestoredFiles } from '../task-manager/local-recovery/restored-files.ts';
import { readState, toRestoredPart } from '../task-manager/state-files.ts';
import { findSnapshot } from './find-snapshot.ts';
import { LocalParts } from './local-parts.ts';
import { notFound, OperatorSnapshot, type PartReader } from './operator-snapshot.ts';

export interface OpenSnapshotOptions {
  /** Where files of RocksDB go while they are read; on the same file system as a local checkpoint storage they are only linked. The system's temporary one if undefined. */
  readonly localDirectory?: string | undefined;
}

/**
 * A checkpoint or savepoint to be read, whatever state backend wrote it, without its job. `place`: a directory or URL of it, or of a lineage, whose latest it
 * is then. Nothing is written there, so a running job does not notice; a checkpoint of one may be subsumed and removed meanwhile, a savepoint not.
 */
export async function openSnapshot(place: string, options: OpenSnapshotOptions = {}): Promise<Snapshot> {
  return new Snapshot(await findSnapshot(place), options);
}

export class Snapshot {
  /** Where it was found. */
  readonly source: CheckpointSource;
  readonly operators: readonly OperatorSnapshot[];
  readonly #local: LocalParts;
  /** None is here already. */
  readonly #files = new RestoredFiles(new Map(), () => {});

  constructor(source: CheckpointSource, { localDirectory = tmpdir() }: OpenSnapshotOptions) {
    this.source = source;
    this.#local = new LocalParts(localDirectory);
    const reader: PartReader = {
      openRows: (part) => this.#openRows(part),
      readBytes: (handle) => readState(source.storage, handle),
    };
    this.operators = source.manifest.operators.map((state) => new OperatorSnapshot(state, reader));
  }

  get url(): string {
    return this.source.url;
  }

  get manifest(): CheckpointManifest {
    return this.source.manifest;
  }

  /** Throws by name when there is none. */
  operator(uid: string): OperatorSnapshot {
    const found = this.operators.find((operator) => operator.uid === uid);
    if (found === undefined) {
      throw notFound(`${this.url} has no operator '${uid}'`, {
        typed: uid,
        known: this.operators.map((operator) => operator.uid),
        what: 'its operators',
        code: 'OperatorNotFound',
      });
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#local.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #openRows(part: KeyedStatePart): Promise<SnapshotRows> {
    return await openPartRows(await toRestoredPart(this.source.storage, part, this.#files), this.#local);
  }
}
