import type { Committable, KeyedStatePart, OperatorState, StateHandle, WatermarkFloor } from '../core/checkpoint/manifest.ts';
import { JobError } from '../core/job-error.ts';
import type { KeyedDescription, StateDeclaration } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import { type KeyGroupRange, keyGroupOf } from '../core/key-groups/key-group.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { typeOfDescriptor } from '../core/types/type-of-descriptor.ts';
import { decodeBroadcastState } from '../state-backend/broadcast-format.ts';
import { decodeOperatorLists } from '../state-backend/operator-lists-format.ts';
import { commonKeyGroups, type RowSelection, type SnapshotRows } from '../state-backend/rows/snapshot-row.ts';
import { nearestName } from './nearest-name.ts';
import { EntryDecoder, type SnapshotEntry } from './snapshot-entry.ts';

export interface EntrySelection {
  /** A state's name; timers are then left out. All states and timers when undefined. */
  readonly state?: string | undefined;
  readonly keyGroups?: KeyGroupRange | undefined;
  /** Only this key's states: reads the part that has its key group, and of that as little as its format allows. */
  readonly key?: unknown;
}

export interface BroadcastSnapshotEntry {
  readonly state: string;
  readonly mapKey: unknown;
  readonly value: unknown;
}

/** Of operator state. */
export interface ListElementSnapshot {
  readonly state: string;
  /** That had it. */
  readonly subtaskIndex: number;
  /** In the list of that subtask, from 0. */
  readonly index: number;
  readonly value: unknown;
}

export interface SplitSnapshot {
  readonly splitId: string;
  readonly position: unknown;
  readonly maxTimestampMs: number | undefined;
}

/** How an operator's parts are read. */
export interface PartReader {
  openRows(part: KeyedStatePart): Promise<SnapshotRows>;
  readBytes(handle: StateHandle): Promise<Uint8Array>;
}

/** The state of one operator over all its subtasks. */
export class OperatorSnapshot {
  /** As the checkpoint's manifest has it. */
  readonly state: OperatorState;
  readonly #reader: PartReader;

  constructor(state: OperatorState, reader: PartReader) {
    this.state = state;
    this.#reader = reader;
  }

  get uid(): string {
    return this.state.uid;
  }

  /** What the operator declared; undefined of one without keyed state. */
  get keyed(): KeyedDescription | undefined {
    return this.state.keyed?.description;
  }

  /** How far event time had come, by key groups. */
  get watermarkFloors(): readonly WatermarkFloor[] {
    return this.state.keyed?.watermarkFloors ?? [];
  }

  /** What a sink had written and not yet committed. */
  get pendingOutput(): readonly Committable[] {
    return this.state.committables ?? [];
  }

  /** Positions of a source's splits, decoded. */
  get splits(): readonly SplitSnapshot[] {
    const { splits, positionType } = this.state;
    if (splits === undefined || positionType === undefined) {
      return [];
    }
    const type = typeOfDescriptor(positionType);
    return splits.map(({ splitId, positionBase64, maxTimestampMs }) => ({
      splitId,
      position: type.decode(new BinaryReader(Buffer.from(positionBase64, 'base64'))),
      maxTimestampMs,
    }));
  }

  /**
   * Keyed state and timers in the order of key groups, in each by key, timers last. Memory does not grow with their number, but for a part that a HashMap
   * backend wrote: that is read whole.
   */
  async *entries(selection: EntrySelection = {}): AsyncGenerator<SnapshotEntry> {
    for await (const batch of this.batches(selection)) {
      yield* batch;
    }
  }

  /** The same in batches, for whoever reads millions. */
  async *batches(selection: EntrySelection = {}): AsyncGenerator<readonly SnapshotEntry[]> {
    const { keyed, maxParallelism } = this.state;
    if (keyed === undefined) {
      throw noKeyedState(this.state);
    }
    if (selection.state !== undefined) {
      this.declaration(selection.state);
    }
    const rowSelection = selectionOf(selection, keyed.description, maxParallelism);
    const parts = keyed.parts.toSorted((a, b) => a.keyGroups.first - b.keyGroups.first);
    for (const part of parts) {
      if (commonKeyGroups(part.keyGroups, rowSelection.keyGroups) !== undefined) {
        yield* this.#batchesOf(part, rowSelection, selection.state);
      }
    }
  }

  /** What a broadcast stream has brought. */
  async *broadcastEntries(): AsyncGenerator<BroadcastSnapshotEntry> {
    const { broadcast } = this.state;
    if (broadcast === undefined) {
      return;
    }
    const types = new Map(broadcast.states.map((declaration) => [declaration.name, broadcastTypes(declaration)]));
    for (const { state, key, value } of decodeBroadcastState(await this.#reader.readBytes(broadcast.handle))) {
      const { mapKeyType, valueType } = types.get(state) ?? {};
      if (mapKeyType !== undefined && valueType !== undefined) {
        yield {
          state,
          mapKey: mapKeyType.decodeKey(new BinaryReader(key)),
          value: valueType.decode(new BinaryReader(value)),
        };
      }
    }
  }

  /** Of operator state, all lists or one, in the order of subtasks. */
  async *listElements(selection: { readonly state?: string | undefined } = {}): AsyncGenerator<ListElementSnapshot> {
    const { states, parts } = this.state.operatorLists ?? { states: [], parts: [] };
    const types = new Map(states.map((declaration) => [declaration.name, typeOfDescriptor(storedTypeOf(declaration))]));
    for (const [subtaskIndex, { handle }] of parts.entries()) {
      for (const { state, index, element } of decodeOperatorLists(await this.#reader.readBytes(handle))) {
        const type = types.get(state);
        if (type !== undefined && (selection.state === undefined || selection.state === state)) {
          yield { state, subtaskIndex, index, value: type.decode(new BinaryReader(element)) };
        }
      }
    }
  }

  /** Whether it is the name of operator state. */
  isListState(name: string): boolean {
    return this.state.operatorLists?.states.some((declaration) => declaration.name === name) ?? false;
  }

  /** Of a keyed state; throws by name when there is none of that name. */
  declaration(name: string): StateDeclaration {
    const found = this.keyed?.states.find((state) => state.name === name);
    if (found === undefined) {
      const states = [...(this.keyed?.states ?? []), ...(this.state.operatorLists?.states ?? [])];
      throw notFound(`operator '${this.uid}' has no keyed state '${name}' in this snapshot`, {
        typed: name,
        known: states.map((state) => state.name),
        what: 'its states',
        code: 'StateNotFound',
      });
    }
    return found;
  }

  async *#batchesOf(
    part: KeyedStatePart,
    selection: RowSelection,
    state: string | undefined,
  ): AsyncGenerator<readonly SnapshotEntry[]> {
    const rows = await this.#reader.openRows(part);
    try {
      const decoder = new EntryDecoder(rows.declarations);
      const wanted = state === undefined ? undefined : rows.declarations.states.findIndex(({ name }) => name === state);
      for await (const batch of rows.read(selection)) {
        const chosen = wanted === undefined ? batch : batch.filter((row) => row.type === 'State' && row.stateIndex === wanted);
        if (chosen.length > 0) {
          yield chosen.map((row) => decoder.decode(row));
        }
      }
    } finally {
      await rows.close();
    }
  }
}

function selectionOf({ keyGroups, key }: EntrySelection, { keyType }: KeyedDescription, maxParallelism: number): RowSelection {
  if (key === undefined) {
    return { keyGroups: keyGroups ?? { first: 0, last: maxParallelism - 1 } };
  }
  const writer = new BinaryWriter();
  typeOfDescriptor(keyType).encodeKey(key, writer);
  const bytes = writer.toBytes();
  const keyGroup = keyGroupOf(bytes, maxParallelism);
  return { keyGroups: { first: keyGroup, last: keyGroup }, key: bytes };
}

function broadcastTypes(declaration: StateDeclaration) {
  return declaration.stateType === 'map'
    ? { mapKeyType: typeOfDescriptor(declaration.mapKeyType), valueType: typeOfDescriptor(declaration.valueType) }
    : {};
}

function noKeyedState({ uid }: OperatorState): JobError {
  return new JobError(`operator '${uid}' has no keyed state in this snapshot`, {
    domain: 'user',
    retry: 'never',
    code: 'StateNotFound',
    remedy: '`flinkjob state ls` shows which operators have any.',
  });
}

export function notFound(
  message: string,
  options: { readonly typed: string; readonly known: readonly string[]; readonly what: string; readonly code: string },
): JobError {
  const { typed, known, what, code } = options;
  const near = nearestName(typed, known);
  const list = known.length === 0 ? 'there are none' : `${what}: ${known.map((name) => `'${name}'`).join(', ')}`;
  return new JobError(message, {
    domain: 'user',
    retry: 'never',
    code,
    remedy: `${near === undefined ? '' : `Did you mean '${near}'? `}${list[0]?.toUpperCase()}${list.slice(1)}.`,
  });
}
