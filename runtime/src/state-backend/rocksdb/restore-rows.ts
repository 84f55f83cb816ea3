import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../../core/job-graph/stored-type.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { openCanonicalRows } from '../canonical/part-rows.ts';
import type { SnapshotRow, StateRow, TimerRow } from '../rows/snapshot-row.ts';
import type { KeyedStateBackendOptions, RestoredPart } from '../state-backend.ts';
import { isDead } from '../time-to-live.ts';
import { checkDeclarations } from '../written-declarations.ts';
import {
  columnFamilyOf,
  timersColumnFamily,
  writeDeath,
  writeKeyGroup,
  writeListSequence,
  writeStateId,
  writeTimerPrefix,
  writeTimestamp,
} from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import type { StateIds } from './state-ids.ts';
import { type StateForms, storedValues } from './value-forms.ts';
import { WriteBatch } from './write-batch.ts';

/** What rows are brought into, and how. */
export interface RestoredRowsTarget {
  readonly options: KeyedStateBackendOptions;
  readonly stateIds: StateIds;
  readonly forms: StateForms;
  readonly nextListSequence: number;
}

/** Writes what a canonical part has of our key groups into the database. Gives the next sequence number of elements. */
export async function restoreCanonicalPart(
  database: NativeDatabase,
  restored: RestoredPart,
  to: RestoredRowsTarget,
): Promise<number> {
  const rows = openCanonicalRows(restored);
  checkDeclarations(rows.declarations, to.options);
  const writer = new RowsWriter(rows.declarations.states, to);
  for await (const batch of rows.read({ keyGroups: to.options.keyGroups })) {
    for (const row of batch) {
      writer.add(row);
      if (writer.batch.length >= batchSizeBytes) {
        await writer.flush(database);
      }
    }
  }
  writer.endList();
  await writer.flush(database);
  return writer.nextListSequence;
}

/** Well below the memory for what is written, of which all databases of a process have a share. */
const batchSizeBytes = 1024 * 1024;

interface Target {
  readonly declaration: StateDeclaration;
  readonly columnFamily: number;
  readonly stateId: number;
  /** Where the value's bytes are not those of the row. */
  readonly toStored: ((value: Uint8Array) => Uint8Array) | undefined;
}

class RowsWriter {
  readonly batch = new WriteBatch();
  readonly #hasTimers: boolean;
  readonly #nowMs: number;
  /** By place in the part's declarations; undefined: the operator does not have it any more. */
  readonly #targets: readonly (Target | undefined)[];
  /** Elements of a list without a time to live, which are one row. */
  readonly #elements = new BinaryWriter(1024);
  readonly #listKey = new BinaryWriter();
  #listColumnFamily = 0;
  nextListSequence: number;

  constructor(states: readonly StateDeclaration[], { options, stateIds, forms, nextListSequence }: RestoredRowsTarget) {
    this.#hasTimers = options.timers;
    this.#nowMs = options.nowMs();
    this.#targets = states.map((declaration) => {
      const stateId = stateIds.byName.get(declaration.name);
      const now = options.states.find((state) => state.declaration.name === declaration.name);
      if (stateId === undefined || now === undefined) {
        return undefined;
      }
      const toStored = storedValues(storedTypeOf(declaration), now.valueType, forms.byName.get(declaration.name));
      return { declaration, columnFamily: columnFamilyOf(declaration), stateId, toStored };
    });
    this.nextListSequence = nextListSequence;
  }

  add(row: SnapshotRow): void {
    if (row.type === 'Timer') {
      this.#addTimer(row);
      return;
    }
    const target = this.#targets[row.stateIndex];
    if (target !== undefined && !(row.deathMs !== undefined && isDead(row.deathMs, this.#nowMs))) {
      this.#addState(row, target);
    }
  }

  async flush(database: NativeDatabase): Promise<void> {
    if (this.batch.recordCount > 0) {
      await database.writeAsync(this.batch.finish(), this.batch.length);
      this.batch.reset();
    }
  }

  #addTimer({ keyGroup, domain, timestampMs, key, namespace }: TimerRow): void {
    if (this.#hasTimers) {
      const writer = this.batch.key;
      writeTimerPrefix(writer, keyGroup, domain);
      writeTimestamp(writer, timestampMs);
      writer.writeRaw(key);
      writeMaybe(writer, namespace);
      this.batch.put(timersColumnFamily);
    }
  }

  /** Elements of one list come one after the other. What is written of a list before its end is appended to. */
  endList(): void {
    if (this.#elements.length > 0) {
      this.batch.key.writeRaw(this.#listKey.view());
      this.batch.value.writeRaw(this.#elements.view());
      this.batch.merge(this.#listColumnFamily);
      this.#elements.reset();
    }
    this.#listKey.reset();
  }

  #addState(row: StateRow, { declaration, columnFamily, stateId, toStored }: Target): void {
    const stored = toStored === undefined ? row.value : toStored(row.value);
    const { key, value } = this.batch;
    writeKeyGroup(key, row.keyGroup);
    key.writeRaw(row.key);
    writeStateId(key, stateId);
    writeMaybe(key, row.namespace);
    writeMaybe(key, row.mapKey);
    if (declaration.stateType === 'list' && declaration.ttl === undefined) {
      this.#addElement(stored, columnFamily);
      return;
    }
    if (declaration.stateType === 'list') {
      writeListSequence(key, this.nextListSequence++);
    }
    if (row.deathMs !== undefined) {
      writeDeath(value, row.deathMs === Number.POSITIVE_INFINITY ? 0 : row.deathMs);
    }
    value.writeRaw(stored);
    this.batch.put(columnFamily);
  }

  /** Of the list whose key is in the batch's. */
  #addElement(element: Uint8Array, columnFamily: number): void {
    const listKey = this.batch.key.toBytes();
    this.batch.key.reset();
    if (Buffer.compare(listKey, this.#listKey.view()) !== 0 || this.#elements.length >= batchSizeBytes) {
      this.endList();
      this.#listKey.writeRaw(listKey);
      this.#listColumnFamily = columnFamily;
    }
    this.#elements.writeRaw(element);
  }
}

function writeMaybe(writer: BinaryWriter, bytes: Uint8Array | undefined): void {
  if (bytes !== undefined) {
    writer.writeRaw(bytes);
  }
}
