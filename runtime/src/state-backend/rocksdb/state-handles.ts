import { assert, unreachable } from '../../core/assert.ts';
import type {
  AggregatingStateHandle,
  ListStateHandle,
  MapStateHandle,
  ReducingStateHandle,
  ValueStateHandle,
} from '../state-backend.ts';
import { absent } from './cell.ts';
import type { CellCache } from './cell-cache.ts';
import type { KeyCodec } from './key-codec.ts';
import { ListContent } from './list-content.ts';
import { ListRows } from './list-rows.ts';
import { MapContent, type MapEntry } from './map-content.ts';
import type { RowAccess } from './row-access.ts';
import { SingleValue } from './single-value.ts';
import type { StateSlot } from './state-slot.ts';

export type StateHandleByType =
  | { readonly stateType: 'value'; readonly handle: ValueStateHandle<unknown> }
  | { readonly stateType: 'list'; readonly handle: ListStateHandle<unknown> }
  | { readonly stateType: 'map'; readonly handle: MapStateHandle<unknown, unknown> }
  | { readonly stateType: 'reducing'; readonly handle: ReducingStateHandle<unknown> }
  | { readonly stateType: 'aggregating'; readonly handle: AggregatingStateHandle<unknown, unknown> };

/** What authors get of a state. It acts on the cell that is current at each call. */
export function createStateHandle(slot: StateSlot, cache: CellCache, access: RowAccess): StateHandleByType {
  const { declaration } = slot.implementation;
  const { stateType } = declaration;
  switch (stateType) {
    case 'value':
      return { stateType, handle: createValueHandle(slot, new SingleValue(slot, cache, access)) };
    case 'list':
      return { stateType, handle: createListHandle(slot, cache, access) };
    case 'map':
      return { stateType, handle: createMapHandle(slot, cache, access) };
    case 'reducing':
    case 'aggregating':
      return { stateType, handle: createAggregatingHandle(slot, new SingleValue(slot, cache, access)) };
    default:
      return unreachable(stateType);
  }
}

function createValueHandle(slot: StateSlot, single: SingleValue): ValueStateHandle<unknown> {
  const { values } = slot;
  return {
    get() {
      const stored = single.read(single.cell());
      return stored === absent ? undefined : values.isDirect ? stored : values.load(stored);
    },
    set: (value) => single.write(single.cell(), values.store(value)),
    clear: () => single.clear(),
  };
}

/** The accumulator is what is stored. What the author's functions get is a copy or immutable, so they may change it and give it back. */
function createAggregatingHandle(slot: StateSlot, single: SingleValue): AggregatingStateHandle<unknown, unknown> {
  const { values } = slot;
  const { aggregate, declaration } = slot.implementation;
  assert(aggregate !== undefined, `the ${declaration.stateType} state "${declaration.name}" has no functions`);
  const accumulate = (stored: unknown, value: unknown): unknown => {
    if (stored !== absent) {
      return aggregate.add(values.load(stored), value);
    }
    return aggregate.createAccumulator === undefined ? value : aggregate.add(aggregate.createAccumulator(), value);
  };
  return {
    get() {
      const stored = single.read(single.cell());
      return stored === absent ? undefined : aggregate.getResult(values.load(stored));
    },
    add(value) {
      const cell = single.cell();
      single.write(cell, values.store(accumulate(single.read(cell), value)));
    },
    clear: () => single.clear(),
  };
}

function createListHandle(slot: StateSlot, cache: CellCache, access: RowAccess): ListStateHandle<unknown> {
  const isNamespaced = slot.implementation.declaration.namespaced === true;
  const list = (): ListContent | ListRows => {
    const cell = cache.current(isNamespaced);
    return slot.hasOneRow ? ListContent.of(cell, slot, access) : ListRows.of(cell, slot, access);
  };
  return {
    get() {
      slot.readCount++;
      return list().elements();
    },
    add(element) {
      list().add(element);
      access.writeBack.relieve();
    },
    set(elements) {
      list().set(elements);
      access.writeBack.relieve();
    },
    clear: () => list().clear(),
  };
}

function createMapHandle(slot: StateSlot, cache: CellCache, access: RowAccess): MapStateHandle<unknown, unknown> {
  const isNamespaced = slot.implementation.declaration.namespaced === true;
  const mapKeys = slot.mapKeys as KeyCodec;
  const onEntry = (entry: MapEntry): void => cache.add(entry);
  const map = (): MapContent => MapContent.of(cache.current(isNamespaced), slot, access, onEntry);
  return {
    get(key) {
      const stored = map().read(mapKeys.identify(key));
      return stored === absent ? undefined : slot.values.load(stored);
    },
    set(key, value) {
      const stored = slot.values.store(value);
      map().put(mapKeys.identify(key), stored);
      access.writeBack.relieve();
    },
    has: (key) => map().read(mapKeys.identify(key)) !== absent,
    delete(key) {
      map().remove(mapKeys.identify(key));
      access.writeBack.relieve();
    },
    entries: () => map().iterate(),
    clear: () => map().clear(),
  };
}
