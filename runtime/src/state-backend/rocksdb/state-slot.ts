import { assert } from '../../core/assert.ts';
import { JobError } from '../../core/job-error.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import { createKeyCodec, type KeyCodec } from './key-codec.ts';
import { columnFamilyOf } from './key-layout.ts';
import { createStoredValueCodec, type StoredValueCodec } from './stored-value.ts';

/** A declared state: its number on disk, its place in a cell, its codecs, and how much it is read. */
export class StateSlot {
  readonly implementation: StateImplementation;
  readonly stateId: number;
  /** Place in the cells of its kind: those by key alone, or those by key and namespace. */
  readonly index: number;
  /** In a cell's bit sets. From the 31st state on, states share bits: a bit that is set means that one of them may be concerned. */
  readonly bit: number;
  readonly columnFamily: number;
  /** One value per key and namespace: value, reducing and aggregating states. */
  readonly isSingle: boolean;
  /** Its row is fetched by its key alone: single values, and lists whose elements do not die one by one. */
  readonly hasOneRow: boolean;
  /** 0 without a time to live. */
  readonly ttlMs: number;
  readonly isRenewedByRead: boolean;
  readonly values: StoredValueCodec;
  /** Values cost nothing beside their place in a cell: numbers and booleans. */
  readonly isFixedSize: boolean;
  /** Of a map state. */
  readonly mapKeys: KeyCodec | undefined;
  readonly #valueSizeBytesMax: number;
  /** Reads since the last batch began. */
  readCount = 0;
  /** Share of a batch's keys for which recent batches read this state, as a moving average. */
  #readShare = 0;
  /** Of the rows fetched, as a moving average. */
  #rowSizeBytes = 0;

  constructor(
    implementation: StateImplementation,
    place: { readonly stateId: number; readonly index: number; readonly valueSizeBytesMax: number },
  ) {
    const { declaration, valueType, mapKeyType } = implementation;
    const { ttl, stateType } = declaration;
    assert(
      (mapKeyType !== undefined) === (stateType === 'map'),
      `the ${stateType} state "${declaration.name}" and its key type do not fit`,
    );
    this.implementation = implementation;
    this.stateId = place.stateId;
    this.index = place.index;
    this.bit = 1 << (place.index % slotBitCount);
    this.columnFamily = columnFamilyOf(declaration);
    this.isSingle = stateType !== 'list' && stateType !== 'map';
    this.hasOneRow = this.isSingle || (stateType === 'list' && ttl === undefined);
    this.ttlMs = ttl?.ttlMs ?? 0;
    this.isRenewedByRead = ttl?.renewedBy === 'ReadAndWrite';
    this.#valueSizeBytesMax = place.valueSizeBytesMax;
    this.isFixedSize = ['int', 'double', 'boolean'].includes(valueType.descriptor.type);
    const values = createStoredValueCodec(valueType);
    this.values = this.isFixedSize ? values : this.#limited(values);
    this.mapKeys = mapKeyType === undefined ? undefined : createKeyCodec(mapKeyType);
  }

  get name(): string {
    return this.implementation.declaration.name;
  }

  /** Worth fetching with a batch. */
  get isHot(): boolean {
    return this.hasOneRow && this.#readShare >= hotShareMin && this.#rowSizeBytes <= hotRowSizeBytesMax;
  }

  /** Throws when one value would be larger than what can be read again. */
  checkSize(sizeBytes: number): void {
    if (sizeBytes > this.#valueSizeBytesMax) {
      throw valueTooLarge(this.implementation, sizeBytes, this.#valueSizeBytesMax);
    }
  }

  #limited(codec: StoredValueCodec): StoredValueCodec {
    return {
      ...codec,
      store: (value) => {
        const stored = codec.store(value);
        const sizeBytes = codec.sizeBytes(stored);
        // A character that is kept as it is may take three bytes.
        if (sizeBytes > this.#valueSizeBytesMax / 3) {
          this.checkSize(codec.isDirect ? Buffer.byteLength(String(stored)) : sizeBytes);
        }
        return stored;
      },
    };
  }

  noteRow(sizeBytes: number): void {
    this.#rowSizeBytes += (sizeBytes - this.#rowSizeBytes) / 64;
  }

  /** Told at the end of each batch of `keyCount` keys. */
  endBatch(keyCount: number): void {
    const share = Math.min(this.readCount / keyCount, 1);
    // The first batch that reads a state makes it hot at once; it cools down over the next few that do not.
    this.#readShare = Math.max(share, this.#readShare * 0.75 + share * 0.25);
    this.readCount = 0;
  }
}

function valueTooLarge({ declaration }: StateImplementation, sizeBytes: number, sizeBytesMax: number): JobError {
  const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  return new JobError(
    `the ${declaration.stateType} state "${declaration.name}" is given a value of ${mebibytes(sizeBytes)}; with the memory that RocksDB has here one value may have ${mebibytes(sizeBytesMax)}, because a larger one could not be read again`,
    {
      domain: 'user',
      retry: 'never',
      code: 'StateValueTooLarge',
      remedy:
        'Divide it among the entries of a map state, which are read one by one; or raise spec.taskManager.resources.limits.memory, of which RocksDB has a share.',
    },
  );
}

/** Bits of a small integer, which V8 keeps without a box. */
export const slotBitCount = 30;
export const allSlotBits = 2 ** slotBitCount - 1;

/** One point read costs about as much as fetching four rows with a batch. */
const hotShareMin = 0.2;
/** A batch of larger ones would fill the heap before the first is asked for. */
const hotRowSizeBytesMax = 4 * 1024;
