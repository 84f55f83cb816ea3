import { assert } from '../../core/assert.ts';
import type { MapStateHandle } from '../state-backend.ts';
import { createIdentityCodec, type Identity } from './identity.ts';
import { NestedTable } from './nested-table.ts';
import { entryOverheadBytes, mapOverheadBytes } from './size-account.ts';
import type { StateTable, StateTableOptions, StateTableSnapshot } from './state-table.ts';
import { createStoredValueCodec } from './stored-value.ts';

export function createMapTable(options: StateTableOptions): StateTable<MapStateHandle<unknown, unknown>> {
  const { state, groupCount, keys, current, account } = options;
  assert(state.mapKeyType !== undefined, `the map state "${state.declaration.name}" has no type for its keys`);
  const mapKeys = createIdentityCodec(state.mapKeyType);
  const values = createStoredValueCodec(state.valueType);
  const table = new NestedTable<unknown>(groupCount);

  const entrySizeBytes = (mapKey: Identity, stored: unknown): number =>
    entryOverheadBytes + mapKeys.sizeBytes(mapKey) + values.sizeBytes(stored);
  const keySizeBytes = (identity: Identity): number => entryOverheadBytes + mapOverheadBytes + keys.sizeBytes(identity);

  const put = (group: number, identity: Identity, mapKey: Identity, stored: unknown): void => {
    const entries = table.entriesOf(group, identity);
    const before = entries?.get(mapKey);
    account.change(
      entrySizeBytes(mapKey, stored) -
        (before === undefined ? 0 : entrySizeBytes(mapKey, before)) +
        (entries === undefined ? keySizeBytes(identity) : 0),
    );
    table.set(group, identity, mapKey, stored);
  };

  const remove = (group: number, identity: Identity, mapKey: Identity): void => {
    const before = table.get(group, identity, mapKey);
    if (before === undefined) {
      return;
    }
    account.change(-entrySizeBytes(mapKey, before));
    table.delete(group, identity, mapKey);
    if (table.entriesOf(group, identity) === undefined) {
      account.change(-keySizeBytes(identity));
    }
  };

  return {
    handle: {
      get(key) {
        const stored = table.get(current.group, current.identity, mapKeys.ofValue(key));
        return stored === undefined ? undefined : values.load(stored);
      },
      set: (key, value) => put(current.group, current.identity, mapKeys.ofValue(key), values.store(value)),
      has: (key) => table.get(current.group, current.identity, mapKeys.ofValue(key)) !== undefined,
      delete: (key) => remove(current.group, current.identity, mapKeys.ofValue(key)),
      entries() {
        // Taken now, so that the iterator stays with this key when another becomes current.
        const entries = table.entriesOf(current.group, current.identity);
        return iterate(entries, (mapKey, stored) => [mapKeys.toValue(mapKey), values.load(stored)]);
      },
      clear() {
        const { group, identity } = current;
        for (const mapKey of [...(table.entriesOf(group, identity)?.keys() ?? [])]) {
          remove(group, identity, mapKey);
        }
      },
    },
    openSnapshot(): StateTableSnapshot {
      const snapshot = table.openSnapshot();
      return {
        capture: (group) => snapshot.capture(group),
        writeEntry(entry, writer) {
          const [identity, entries] = entry as readonly [Identity, readonly (readonly [Identity, unknown])[]];
          keys.write(identity, writer);
          writer.writeVarint(entries.length);
          for (const [mapKey, stored] of entries) {
            mapKeys.write(mapKey, writer);
            values.write(stored, writer);
          }
        },
        close: () => snapshot.close(),
      };
    },
    readEntry(group, reader) {
      const identity = keys.read(reader);
      const count = reader.readVarint();
      for (let index = 0; index < count; index++) {
        const mapKey = mapKeys.read(reader);
        put(group, identity, mapKey, values.read(reader));
      }
    },
  };
}

/** Entries that are added or removed meanwhile are seen or not seen as by a JS Map's iterator. */
function* iterate(
  entries: ReadonlyMap<Identity, unknown> | undefined,
  load: (mapKey: Identity, stored: unknown) => readonly [unknown, unknown],
): Generator<readonly [unknown, unknown], undefined> {
  for (const [mapKey, stored] of entries ?? []) {
    yield load(mapKey, stored);
  }
}
