import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { ValueStateHandle } from '../state-backend.ts';
import { FlatTable } from './flat-table.ts';
import type { Identity } from './identity.ts';
import { entryOverheadBytes } from './size-account.ts';
import type { StateTable, StateTableOptions, StateTableSnapshot } from './state-table.ts';
import { createStoredValueCodec } from './stored-value.ts';

export function createValueTable(options: StateTableOptions): StateTable<ValueStateHandle<unknown>> {
  const { state, groupCount, keys, current, account } = options;
  const table = new FlatTable<unknown>(groupCount);
  const values = createStoredValueCodec(state.valueType);

  const put = (group: number, identity: Identity, stored: unknown): void => {
    const before = table.get(group, identity);
    account.change(
      values.sizeBytes(stored) -
        (before === undefined ? -entryOverheadBytes - keys.sizeBytes(identity) : values.sizeBytes(before)),
    );
    table.set(group, identity, stored);
  };

  const remove = (group: number, identity: Identity): void => {
    const before = table.get(group, identity);
    if (before !== undefined) {
      account.change(-(entryOverheadBytes + keys.sizeBytes(identity) + values.sizeBytes(before)));
      table.delete(group, identity);
    }
  };

  return {
    handle: {
      get() {
        const stored = table.get(current.group, current.identity);
        return stored === undefined ? undefined : values.load(stored);
      },
      set: (value) => put(current.group, current.identity, values.store(value)),
      clear: () => remove(current.group, current.identity),
    },
    openSnapshot(): StateTableSnapshot {
      const snapshot = table.openSnapshot();
      return {
        capture: (group) => snapshot.capture(group),
        writeEntry(entry, writer) {
          const [identity, stored] = entry as readonly [Identity, unknown];
          keys.write(identity, writer);
          values.write(stored, writer);
        },
        close: () => snapshot.close(),
      };
    },
    readEntry(group: number, reader: BinaryReader) {
      const identity = keys.read(reader);
      put(group, identity, values.read(reader));
    },
  };
}
