import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { putObject, referenceTo } from '../checkpoint-storage/verified-objects.ts';
import { stateSizeBytes } from '../core/checkpoint/assemble-manifest.ts';
import {
  type CheckpointManifest,
  inlineStateSizeBytesMax,
  type KeyedOperatorState,
  type OperatorState,
  type SplitState,
  type StateHandle,
} from '../core/checkpoint/manifest.ts';
import { encodeManifest, manifestFormatOf } from '../core/checkpoint/manifest-format.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { JobError } from '../core/job-error.ts';
import type { KeyedDescription } from '../core/job-graph/job-graph.ts';
import { defaultMaxParallelism, isMaxParallelism, keyGroupHash } from '../core/key-groups/key-group.ts';
import { manifestName } from '../core/lineage/object-paths.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import type { Type } from '../core/types/type.ts';
import { normalizeCheckpointUrl, withoutCommittedOutput } from '../savepoint-transfer/checkpoint-source.ts';
import { copyFiles } from '../savepoint-transfer/copy-files.ts';
import { exportedFilePath, exportedManifest } from '../savepoint-transfer/exported-manifest.ts';
import { RowSorter } from '../state-backend/canonical/row-sorter.ts';
import { writeCanonicalPart } from '../state-backend/canonical/write-part.ts';
import type { SnapshotRow, SnapshotRows, StateRow } from '../state-backend/rows/snapshot-row.ts';
import type { WrittenDeclarations } from '../state-backend/written-declarations.ts';
import { systemClock } from '../system-clock.ts';
import { EntryEncoder, type EntryToWrite } from './entry-encoder.ts';
import { toUrl } from './find-snapshot.ts';
import type { Snapshot } from './open-snapshot.ts';
import { EntryDecoder } from './snapshot-entry.ts';

export interface SnapshotToWrite {
  /** For people; of `from` when undefined. */
  readonly jobName?: string | undefined;
  /** A snapshot to be changed: what `operators` does not say is copied as it is. */
  readonly from?: Snapshot | undefined;
  readonly operators: readonly OperatorToWrite[];
  /** For sorting what does not fit into memory. The system's temporary one if undefined. */
  readonly localDirectory?: string | undefined;
}

export interface OperatorToWrite {
  readonly uid: string;
  readonly name?: string | undefined;
  /** As the job has it, which cannot change it afterwards; 128 if undefined, or what `from` has. */
  readonly maxParallelism?: number | undefined;
  readonly keyed?: KeyedStateToWrite | undefined;
  readonly source?: SourceToWrite | undefined;
}

export interface KeyedStateToWrite {
  /** Of `describeKeyedState`, or of an operator that was read. */
  readonly description: KeyedDescription;
  /** All there will be, in any order; what is read from a snapshot can be written as it is. */
  readonly entries: Iterable<EntryToWrite> | AsyncIterable<EntryToWrite>;
  /** How far event time has come; if undefined not at all, or as far as in `from`. */
  readonly watermarkMs?: number | undefined;
}

/** Where a source goes on; splits that are not named begin where the source begins them. */
export interface SourceToWrite {
  /** As the source declares it. */
  readonly positionType: Type<unknown>;
  readonly splits: readonly {
    readonly splitId: string;
    readonly position: unknown;
    readonly maxTimestampMs?: number | undefined;
  }[];
}

export interface WrittenSnapshot {
  /** For `restore: { from: Path, path: … }`. */
  readonly url: string;
  readonly rowCount: number;
  readonly stateSizeBytes: number;
}

/**
 * Makes a savepoint out of entries, from nothing or from another one: a self-contained folder that can be moved, and that a job of any state backend and
 * parallelism starts from. `place` is a directory or URL that holds nothing yet; the folder is a savepoint when this has settled, and before that it is none.
 */
export async function writeSnapshot(place: string, snapshot: SnapshotToWrite): Promise<WrittenSnapshot> {
  const url = normalizeCheckpointUrl(toUrl(place));
  const storage = openStorageAt(url);
  await refuseOccupied(storage);
  const directory = await mkdtemp(join(snapshot.localDirectory ?? tmpdir(), 'flinkjob-write-'));
  try {
    const writer = new SnapshotWriter(storage, directory);
    const kept = keptOperators(snapshot);
    await copyFilesOf(kept, snapshot, storage);
    // Those of `from` stay in their places.
    const operators = new Map(kept);
    for (const operator of snapshot.operators) {
      operators.set(operator.uid, await writer.writeOperator(operator, kept.get(operator.uid)));
    }
    const manifest = exportedManifest(manifestOf(snapshot, [...operators.values()]), snapshot.from?.url ?? 'writeSnapshot');
    await putObject({ storage, clock: systemClock }, manifestName, encodeManifest(manifest));
    return { url, rowCount: writer.rowCount, stateSizeBytes: stateSizeBytes(manifest) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function manifestOf({ from, jobName }: SnapshotToWrite, operators: readonly OperatorState[]): CheckpointManifest {
  return {
    ...{ format: manifestFormatOf(operators), kind: 'Savepoint', checkpointId: from?.manifest.checkpointId ?? 1 },
    ...{ epoch: from?.manifest.epoch ?? 1, executionAttempt: from?.manifest.executionAttempt ?? 1 },
    triggeredAtMs: systemClock.nowMs(),
    jobName: jobName ?? from?.manifest.jobName ?? 'writeSnapshot',
    operators,
  };
}

/** By uid: what stays of the operators in `from`. Keyed state that is written anew is left out. */
function keptOperators({ from, operators }: SnapshotToWrite): ReadonlyMap<string, OperatorState> {
  const anew = new Set(operators.filter(({ keyed }) => keyed !== undefined).map(({ uid }) => uid));
  const states = from === undefined ? [] : withoutCommittedOutput(from.source).operators;
  return new Map(
    states.map((state) => [
      state.uid,
      anew.has(state.uid) && state.keyed !== undefined ? { ...state, keyed: { ...state.keyed, parts: [] } } : state,
    ]),
  );
}

async function copyFilesOf(
  kept: ReadonlyMap<string, OperatorState>,
  { from }: SnapshotToWrite,
  target: CheckpointStorage,
): Promise<void> {
  if (from === undefined) {
    return;
  }
  const copies = namedFiles({ ...from.manifest, operators: [...kept.values()] }).map((file) => ({
    ...{ from: file.path, to: exportedFilePath(file) },
    ...{ sizeBytes: file.sizeBytes, sha256: file.sha256 },
  }));
  const once = [...new Map(copies.map((copy) => [copy.to, copy])).values()];
  await copyFiles(once, { source: from.source.storage, target, clock: systemClock, onProgress: () => {} });
}

class SnapshotWriter {
  readonly #storage: CheckpointStorage;
  readonly #directory: string;
  readonly #nowMs = systemClock.nowMs();
  rowCount = 0;

  constructor(storage: CheckpointStorage, directory: string) {
    this.#storage = storage;
    this.#directory = directory;
  }

  /** `kept`: what it is in `from`. */
  async writeOperator(operator: OperatorToWrite, kept: OperatorState | undefined): Promise<OperatorState> {
    const { uid, keyed, source } = operator;
    const maxParallelism = operator.maxParallelism ?? kept?.maxParallelism ?? defaultMaxParallelism(1);
    if (!isMaxParallelism(maxParallelism)) {
      throw new JobError(`operator '${uid}' is given the maxParallelism ${maxParallelism}`, {
        ...{ domain: 'user', retry: 'never', code: 'MaxParallelismInvalid' },
        remedy: 'It is a power of two from 128 to 32768, the one that the job has.',
      });
    }
    return {
      ...{ committables: undefined, parallelism: 1, ...kept },
      ...{ uid, name: operator.name ?? kept?.name ?? uid, maxParallelism },
      keyed: keyed === undefined ? kept?.keyed : await this.#writeKeyed(uid, keyed, { maxParallelism, before: kept?.keyed }),
      splits: source === undefined ? kept?.splits : source.splits.map((split) => splitState(split, source.positionType)),
      positionType: source === undefined ? kept?.positionType : source.positionType.descriptor,
    };
  }

  async #writeKeyed(
    uid: string,
    { description, entries, watermarkMs }: KeyedStateToWrite,
    { maxParallelism, before }: { readonly maxParallelism: number; readonly before: KeyedOperatorState | undefined },
  ): Promise<KeyedOperatorState> {
    const { keyType, namespaceType, states, timers } = description;
    const declarations: WrittenDeclarations = {
      ...{ keyGroupHash, maxParallelism, keyType, states },
      ...(namespaceType === undefined ? {} : { namespaceType }),
    };
    const keyGroups = { first: 0, last: maxParallelism - 1 };
    const encoder = new EntryEncoder(uid, { declarations, timers, nowMs: this.#nowMs });
    const decoder = new EntryDecoder(declarations);
    const twice = (row: SnapshotRow): JobError => entryTwice(uid, row, decoder);
    const directory = join(this.#directory, 'sorting');
    const sorter = new RowSorter({ declarations, keyGroups, directory, twice });
    try {
      for await (const entry of entries) {
        await sorter.add(encoder.encode(entry));
        this.rowCount++;
      }
      const rows = withPlacesFromZero(await sorter.finish());
      const part = await writeCanonicalPart(rows, { putBytes: (_name, bytes) => this.#put(bytes) });
      const watermarkFloors = watermarkMs === undefined ? before?.watermarkFloors : [{ keyGroups, watermarkMs }];
      return {
        ...{ description, keyGroupHash, parts: [{ keyGroups, ...part }] },
        ...(watermarkFloors === undefined ? {} : { watermarkFloors }),
      };
    } finally {
      await sorter.close();
    }
  }

  /** Named by content, as the files of every exported savepoint are. */
  async #put(bytes: Uint8Array): Promise<StateHandle> {
    if (bytes.length < inlineStateSizeBytesMax) {
      return { type: 'inline', base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
    }
    const { sha256 } = referenceTo('', bytes);
    const path = exportedFilePath({ sha256, isTable: false });
    return { type: 'file', ...(await putObject({ storage: this.#storage, clock: systemClock }, path, bytes)) };
  }
}

/** Whatever places elements were given, they are in their order; lists begin at 0. */
function withPlacesFromZero(rows: SnapshotRows): SnapshotRows {
  return {
    ...rows,
    async *read(selection) {
      let last: StateRow | undefined;
      let elementIndex = 0;
      for await (const batch of rows.read(selection)) {
        yield batch.map((row) => {
          if (row.type === 'Timer' || row.elementIndex === undefined) {
            return row;
          }
          elementIndex = last !== undefined && isSameList(last, row) ? elementIndex + 1 : 0;
          last = row;
          return { ...row, elementIndex };
        });
      }
    },
  };
}

function isSameList(a: StateRow, b: StateRow): boolean {
  return (
    a.stateIndex === b.stateIndex &&
    Buffer.compare(a.key, b.key) === 0 &&
    (a.namespace === undefined || b.namespace === undefined || Buffer.compare(a.namespace, b.namespace) === 0)
  );
}

function splitState({ splitId, position, maxTimestampMs }: SourceToWrite['splits'][number], type: Type<unknown>): SplitState {
  const writer = new BinaryWriter();
  type.encode(position, writer);
  const positionBase64 = Buffer.from(writer.toBytes()).toString('base64');
  return { splitId, positionBase64, ...(maxTimestampMs === undefined ? {} : { maxTimestampMs }) };
}

function entryTwice(uid: string, row: SnapshotRow, decoder: EntryDecoder): JobError {
  const { type: _type, keyGroup: _keyGroup, ...entry } = decoder.decode(row);
  const shown = JSON.stringify(entry, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  return new JobError(`operator '${uid}' is given an entry twice: ${shown}`, {
    ...{ domain: 'user', retry: 'never', code: 'SnapshotEntryTwice' },
    remedy: 'Leave the one out that does not count; of entries that are to be replaced, filter the old ones.',
  });
}

async function refuseOccupied(storage: CheckpointStorage): Promise<void> {
  const [found] = await storage.list('');
  if (found !== undefined) {
    throw new JobError(`${storage.url} is no empty folder: it holds ${found.path}`, {
      ...{ domain: 'user', retry: 'never', code: 'SnapshotTargetOccupied' },
      remedy: 'Name a folder that does not exist, or remove what is there.',
    });
  }
}
