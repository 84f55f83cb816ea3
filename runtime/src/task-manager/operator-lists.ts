import { JobError } from '../core/job-error.ts';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import type { StateByName } from '../core/job-graph/operator-context.ts';
import type { OperatorListsSlice } from '../core/protocol/messages.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { type WrittenValues, writtenValues } from '../core/types/convert-value.ts';
import type { Type, TypeDescriptor } from '../core/types/type.ts';
import { decodeOperatorLists, type EncodedList, encodeOperatorLists } from '../state-backend/operator-lists-format.ts';
import type { ListStateHandle } from '../state-backend/state-backend.ts';

/** Of one operator in one subtask, as `sizeOf` counts. It is in memory and written whole with every checkpoint: a buffer or a few positions, not data. */
const operatorStateSizeBytesMax = 64 * 1024 * 1024;

/** What an element takes in memory beside its bytes: the object that holds them and its place in the list. */
const elementOverheadBytes = 128;

/** Operator state as of a barrier. */
export type FixedOperatorLists = readonly EncodedList[];

/**
 * Lists that belong to one subtask of an operator, whatever the key. Elements are kept encoded and are never changed in place: what a checkpoint fixes is
 * the list of them, and later changes make other lists.
 */
export class OperatorLists {
  /** By name. */
  readonly handles: StateByName;
  readonly #lists: readonly OperatorList[];
  #sizeBytes = 0;

  constructor(operatorId: string, states: readonly StateImplementation[]) {
    this.#lists = states.map(
      (state) => new OperatorList(state, (bytes) => this.#account(operatorId, state.declaration.name, bytes)),
    );
    this.handles = Object.freeze(Object.fromEntries(this.#lists.map((list) => [list.name, list])));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  fix(): FixedOperatorLists {
    return this.#lists.map((list) => list.fix());
  }

  /** Elements of what one subtask of the checkpoint had, behind those that are here already. */
  restore(bytes: Uint8Array, ranges: OperatorListsSlice['ranges']): void {
    const wanted = new Map(
      ranges.map(({ state, from, to }) => [state, { from, to, list: this.#lists.find(({ name }) => name === state) }]),
    );
    for (const { state, index, element, elementType } of decodeOperatorLists(bytes)) {
      const { list, from, to } = wanted.get(state) ?? {};
      if (list !== undefined && from !== undefined && to !== undefined && index >= from && index < to) {
        list.restore(element, elementType);
      }
    }
  }

  #account(operatorId: string, state: string, bytes: number): void {
    const next = this.#sizeBytes + bytes;
    if (bytes > 0 && next > operatorStateSizeBytesMax) {
      throw new JobError(
        `operator '${operatorId}' holds more than ${operatorStateSizeBytesMax} bytes of operator state in one subtask, with elements of '${state}'; it is kept in memory, where each element takes ${elementOverheadBytes} bytes beside its own`,
        {
          domain: 'user',
          retry: 'never',
          code: 'OperatorStateSizeExceeded',
          remedy: `Take elements out of '${state}' sooner, raise the operator's parallelism, or give the stream keys and keep the data in keyed state.`,
        },
      );
    }
    this.#sizeBytes = next;
  }
}

/** In the form of the manifest. */
export function countElements(lists: FixedOperatorLists): readonly { readonly state: string; readonly count: number }[] {
  return lists.map(({ name, elements }) => ({ state: name, count: elements.length }));
}

export function encodeFixed(lists: FixedOperatorLists): Uint8Array {
  const sizeBytes = lists.reduce(
    (sum, { elements }) => elements.reduce((total, { byteLength }) => total + byteLength + 4, sum),
    0,
  );
  return encodeOperatorLists(lists, sizeBytes + 256);
}

class OperatorList implements ListStateHandle<unknown> {
  readonly name: string;
  readonly #type: Type<unknown>;
  readonly #account: (bytes: number) => void;
  readonly #writer = new BinaryWriter();
  #elements: Uint8Array[] = [];
  /** A checkpoint holds the array, so the next change makes another one. */
  #isFixed = false;
  /** Elements of one piece of bytes have one type. */
  #written: { readonly type: TypeDescriptor; readonly values: WrittenValues | undefined } | undefined;

  constructor({ declaration, valueType }: StateImplementation, account: (bytes: number) => void) {
    this.name = declaration.name;
    this.#type = valueType;
    this.#account = account;
  }

  get(): readonly unknown[] {
    return this.#elements.map((bytes) => this.#type.decode(new BinaryReader(bytes)));
  }

  add(element: unknown): void {
    this.#append(this.#encode(element));
  }

  /** All or, where one is not of the declared type, none. */
  set(elements: readonly unknown[]): void {
    const encoded = Array.from(elements, (element) => this.#encode(element));
    this.#account(sizeOf(encoded) - sizeOf(this.#elements));
    this.#elements = encoded;
    this.#isFixed = false;
  }

  clear(): void {
    this.set([]);
  }

  fix(): EncodedList {
    this.#isFixed = true;
    return { name: this.name, elementType: this.#type.descriptor, elements: this.#elements };
  }

  /** Of a value that was written with a type that may be another one now. */
  restore(bytes: Uint8Array, writtenType: TypeDescriptor): void {
    if (this.#written?.type !== writtenType) {
      this.#written = { type: writtenType, values: writtenValues(writtenType, this.#type.descriptor) };
    }
    const written = this.#written.values;
    this.#append(written === undefined ? bytes : this.#encode(written.convert(written.type.decode(new BinaryReader(bytes)))));
  }

  #append(bytes: Uint8Array): void {
    this.#account(sizeOf([bytes]));
    if (this.#isFixed) {
      this.#elements = [...this.#elements];
      this.#isFixed = false;
    }
    this.#elements.push(bytes);
  }

  #encode(element: unknown): Uint8Array {
    const writer = this.#writer;
    writer.reset();
    this.#type.encode(element, writer);
    return writer.toBytes();
  }
}

function sizeOf(elements: readonly Uint8Array[]): number {
  return elements.reduce((sum, { byteLength }) => sum + byteLength + elementOverheadBytes, 0);
}
