import { assert } from '../core/assert.ts';
import { JobError } from '../core/job-error.ts';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import type { StateByName } from '../core/job-graph/operator-context.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { type WrittenValues, writtenValues } from '../core/types/convert-value.ts';
import type { Type, TypeDescriptor } from '../core/types/type.ts';
import { decodeBroadcastState, encodeBroadcastState } from '../state-backend/broadcast-format.ts';
import type { MapStateHandle } from '../state-backend/state-backend.ts';

/** Encoded keys and values of one operator in one subtask. It is in memory in every subtask: rules and settings, not data. */
const broadcastStateSizeBytesMax = 64 * 1024 * 1024;

/**
 * Maps that every subtask of an operator holds whole, changed only by the elements of the operator's broadcast input. Values are kept encoded, for
 * checkpoints, and decoded, because each record may read all of them: `get` gives the same object every time, and who changes it breaks the
 * contract of state handles.
 */
export class BroadcastState {
  readonly writable: StateByName;
  readonly readOnly: StateByName;
  readonly #states: readonly BroadcastMap[];
  #sizeBytes = 0;

  constructor(operatorId: string, states: readonly StateImplementation[]) {
    const account = (bytes: number) => this.#account(operatorId, bytes);
    this.#states = states.map((state) => new BroadcastMap(state, account));
    this.writable = Object.freeze(Object.fromEntries(this.#states.map((state) => [state.name, state])));
    this.readOnly = Object.freeze(
      Object.fromEntries(this.#states.map((state) => [state.name, readOnlyHandle(operatorId, state)])),
    );
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The content as of now. */
  encode(): Uint8Array {
    const states = this.#states.map((state) => ({
      name: state.name,
      valueType: state.valueType,
      entries: state.encodedEntries(),
    }));
    return encodeBroadcastState(states, Math.min(this.#sizeBytes * 2, broadcastStateSizeBytesMax) + 256);
  }

  /** States that the operator does not have any more are passed over: the restore planner has refused what must not be dropped. */
  restore(bytes: Uint8Array): void {
    for (const { state, key, value, valueType } of decodeBroadcastState(bytes)) {
      this.#states.find(({ name }) => name === state)?.restoreWritten(key, value, valueType);
    }
  }

  #account(operatorId: string, bytes: number): void {
    const next = this.#sizeBytes + bytes;
    if (bytes > 0 && next > broadcastStateSizeBytesMax) {
      throw new JobError(
        `operator '${operatorId}' holds more than ${broadcastStateSizeBytesMax} bytes of broadcast state, which every subtask keeps in memory`,
        {
          domain: 'user',
          retry: 'never',
          code: 'BroadcastStateSizeExceeded',
          remedy: 'Delete entries that are no longer needed, or connect two keyed streams and keep the data in keyed state.',
        },
      );
    }
    this.#sizeBytes = next;
  }
}

interface Entry {
  readonly key: unknown;
  readonly value: unknown;
  readonly keyBytes: Uint8Array;
  readonly valueBytes: Uint8Array;
}

class BroadcastMap implements MapStateHandle<unknown, unknown> {
  readonly name: string;
  readonly #keyType: Type<unknown>;
  readonly #valueType: Type<unknown>;
  readonly #account: (bytes: number) => void;
  readonly #entries = new Map<string, Entry>();
  /** In the order of the keys; undefined after a change. */
  #ordered: readonly (readonly [unknown, unknown])[] | undefined;
  readonly #writer = new BinaryWriter();
  /** Entries of one piece of bytes have one type. */
  #written: { readonly type: TypeDescriptor; readonly values: WrittenValues | undefined } | undefined;

  constructor({ declaration, mapKeyType, valueType }: StateImplementation, account: (bytes: number) => void) {
    assert(mapKeyType !== undefined, `broadcast state '${declaration.name}' is a map`);
    this.name = declaration.name;
    this.#keyType = mapKeyType;
    this.#valueType = valueType;
    this.#account = account;
  }

  get(key: unknown): unknown {
    return this.#entries.get(this.#identityOf(key))?.value;
  }

  has(key: unknown): boolean {
    return this.#entries.has(this.#identityOf(key));
  }

  set(key: unknown, value: unknown): void {
    const writer = this.#writer;
    writer.reset();
    this.#valueType.encode(value, writer);
    const valueBytes = writer.toBytes();
    writer.reset();
    this.#keyType.encodeKey(key, writer);
    this.restore(writer.toBytes(), valueBytes);
  }

  delete(key: unknown): void {
    const identity = this.#identityOf(key);
    const entry = this.#entries.get(identity);
    if (entry !== undefined) {
      this.#account(-sizeOf(entry));
      this.#entries.delete(identity);
      this.#ordered = undefined;
    }
  }

  entries(): IterableIterator<readonly [unknown, unknown]> {
    this.#ordered ??= [...this.#entries]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { key, value }]): readonly [unknown, unknown] => [key, value]);
    return this.#ordered.values();
  }

  clear(): void {
    for (const entry of this.#entries.values()) {
      this.#account(-sizeOf(entry));
    }
    this.#entries.clear();
    this.#ordered = undefined;
  }

  encodedEntries(): readonly { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    return [...this.#entries.values()].map(({ keyBytes, valueBytes }) => ({ key: keyBytes, value: valueBytes }));
  }

  get valueType(): TypeDescriptor {
    return this.#valueType.descriptor;
  }

  /** As `restore`, of a value that was written with a type that may be another one now. */
  restoreWritten(keyBytes: Uint8Array, valueBytes: Uint8Array, writtenType: TypeDescriptor = this.valueType): void {
    if (this.#written?.type !== writtenType) {
      this.#written = { type: writtenType, values: writtenValues(writtenType, this.valueType) };
    }
    const written = this.#written.values;
    if (written === undefined) {
      this.restore(keyBytes, valueBytes);
      return;
    }
    const writer = new BinaryWriter();
    this.#valueType.encode(written.convert(written.type.decode(new BinaryReader(valueBytes))), writer);
    this.restore(keyBytes, writer.toBytes());
  }

  /** Key and value are decoded from their bytes: what is inside is nobody else's. */
  restore(keyBytes: Uint8Array, valueBytes: Uint8Array): void {
    const entry: Entry = {
      key: this.#keyType.decodeKey(new BinaryReader(keyBytes)),
      value: this.#valueType.decode(new BinaryReader(valueBytes)),
      keyBytes,
      valueBytes,
    };
    const identity = toIdentity(keyBytes);
    const before = this.#entries.get(identity);
    this.#account(sizeOf(entry) - (before === undefined ? 0 : sizeOf(before)));
    this.#entries.set(identity, entry);
    this.#ordered = undefined;
  }

  #identityOf(key: unknown): string {
    const writer = this.#writer;
    writer.reset();
    this.#keyType.encodeKey(key, writer);
    return toIdentity(writer.view());
  }
}

/** One character per byte: compared by a Map, and in the order of the keys. */
function toIdentity(keyBytes: Uint8Array): string {
  return Buffer.from(keyBytes.buffer, keyBytes.byteOffset, keyBytes.byteLength).toString('latin1');
}

function sizeOf({ keyBytes, valueBytes }: Entry): number {
  return keyBytes.byteLength + valueBytes.byteLength;
}

/** Were it changed by the elements of one subtask, subtasks would differ and a restore would keep the changes of one of them. */
function readOnlyHandle(operatorId: string, state: BroadcastMap): MapStateHandle<unknown, unknown> {
  const refuse = (): never => {
    throw new JobError(
      `operator '${operatorId}' changes the broadcast state '${state.name}' outside of an element of the broadcast stream`,
      {
        domain: 'user',
        retry: 'never',
        code: 'BroadcastStateReadOnly',
        remedy: 'Change it in broadcastElement only: then every subtask makes the same changes.',
      },
    );
  };
  return {
    get: (key) => state.get(key),
    has: (key) => state.has(key),
    entries: () => state.entries(),
    set: refuse,
    delete: refuse,
    clear: refuse,
  };
}
