import { assert, unreachable } from '../../core/assert.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import type {
  AggregatingStateHandle,
  KeyedStateBackendOptions,
  ListStateHandle,
  MapStateHandle,
  ReducingStateHandle,
  ValueStateHandle,
} from '../state-backend.ts';
import { CellTable } from './cell-table.ts';
import type { KeyCodec } from './key-codec.ts';
import { ListSlot } from './list-slot.ts';
import { MapSlot } from './map-slot.ts';
import { SingleSlot } from './single-slot.ts';
import { createAggregatingHandle, createValueHandle } from './single-value-handles.ts';
import type { SizeAccount } from './size-account.ts';
import type { Slot, SlotOptions } from './slot.ts';
import { firstStateSectionId } from './state-part.ts';
import { TimersSlot } from './timers-slot.ts';

/** The operator's states and timers over the cells that hold them. */
export interface Slots {
  readonly cells: CellTable;
  /** In the order of the cells' slots. */
  readonly keySlots: readonly SectionSlot[];
  readonly namespaceSlots: readonly SectionSlot[];
  readonly states: ReadonlyMap<string, DeclaredState>;
  /** Undefined: the operator has none. */
  readonly timers: { readonly ProcessingTime: TimersSlot; readonly EventTime: TimersSlot } | undefined;
}

/** A slot with the section of a written part that its entries are in. */
export interface SectionSlot {
  readonly sectionId: number;
  readonly slot: Slot;
}

export type DeclaredState = { readonly slot: Slot } & DeclaredHandle;

type DeclaredHandle =
  | { readonly stateType: 'value'; readonly handle: ValueStateHandle<unknown> }
  | { readonly stateType: 'list'; readonly handle: ListStateHandle<unknown> }
  | { readonly stateType: 'map'; readonly handle: MapStateHandle<unknown, unknown> }
  | { readonly stateType: 'reducing'; readonly handle: ReducingStateHandle<unknown> }
  | { readonly stateType: 'aggregating'; readonly handle: AggregatingStateHandle<unknown, unknown> };

export interface Codecs {
  readonly keys: KeyCodec;
  /** Undefined: nothing is kept by namespace. */
  readonly namespaces: KeyCodec | undefined;
}

/** Timers are kept by namespace wherever there are namespaces; a state where it is declared so. */
export function createSlots(options: KeyedStateBackendOptions, codecs: Codecs, account: SizeAccount): Slots {
  const { states, timers: hasTimers, maxParallelism, keyGroups, nowMs } = options;
  const timersNamespaced = codecs.namespaces !== undefined;
  const scopes = [...states.map(isNamespaced), ...(hasTimers ? [timersNamespaced, timersNamespaced] : [])];
  const namespaceSlotCount = scopes.filter((namespaced) => namespaced).length;
  assert(namespaceSlotCount === 0 || timersNamespaced, 'a namespaced state needs a namespace type');
  const cells = new CellTable({
    ...codecs,
    keySlotCount: scopes.length - namespaceSlotCount,
    namespaceSlotCount,
    maxParallelism,
    keyGroups,
    account,
  });
  const keySlots: SectionSlot[] = [];
  const namespaceSlots: SectionSlot[] = [];
  const add = <S extends Slot>(sectionId: number, namespaced: boolean, create: (options: SlotOptions) => S): S => {
    const siblings = namespaced ? namespaceSlots : keySlots;
    const slot = create({ cells, account, index: siblings.length, isNamespaced: namespaced, nowMs });
    siblings.push({ sectionId, slot });
    return slot;
  };
  const declared = states.map((state, index) =>
    createState(state, (create) => add(firstStateSectionId + index, isNamespaced(state), create)),
  );
  const addTimers = (sectionId: number): TimersSlot =>
    add(sectionId, timersNamespaced, (slotOptions) => new TimersSlot(slotOptions, codecs));
  return {
    cells,
    keySlots,
    namespaceSlots,
    states: new Map(states.map(({ declaration }, index) => [declaration.name, declared[index] as DeclaredState])),
    timers: hasTimers ? { ProcessingTime: addTimers(0), EventTime: addTimers(1) } : undefined,
  };
}

function isNamespaced({ declaration }: StateImplementation): boolean {
  return declaration.namespaced ?? false;
}

function createState(state: StateImplementation, add: <S extends Slot>(create: (options: SlotOptions) => S) => S): DeclaredState {
  const stateType: StateDeclaration['stateType'] = state.declaration.stateType;
  switch (stateType) {
    case 'value': {
      const slot = add((options) => new SingleSlot(state, options));
      return { stateType, slot, handle: createValueHandle(slot) };
    }
    case 'list': {
      const slot = add((options) => new ListSlot(state, options));
      return { stateType, slot, handle: slot.handle };
    }
    case 'map': {
      const slot = add((options) => new MapSlot(state, options));
      return { stateType, slot, handle: slot.handle };
    }
    case 'reducing':
    case 'aggregating': {
      const slot = add((options) => new SingleSlot(state, options));
      return { stateType, slot, handle: createAggregatingHandle(state, slot) };
    }
    default:
      return unreachable(stateType);
  }
}
