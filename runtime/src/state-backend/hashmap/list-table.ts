import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { ListStateHandle } from '../state-backend.ts';
import { FlatTable } from './flat-table.ts';
import type { Identity } from './identity.ts';
import { entryOverheadBytes, listOverheadBytes } from './size-account.ts';
import type { StateTable, StateTableOptions, StateTableSnapshot } from './state-table.ts';

/**
 * A list's elements, encoded one after the other. Adding makes a new `StoredList` that shares the buffer and writes behind the old
 * one's end, so an old one that a snapshot keeps stays what it was.
 */
interface StoredList {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly elementCount: number;
}

export function createListTable(options: StateTableOptions): StateTable<ListStateHandle<unknown>> {
  const { state, groupCount, keys, current, account } = options;
  const table = new FlatTable<StoredList>(groupCount);
  const elementType = state.valueType;
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));

  const keySizeBytes = (identity: Identity): number => entryOverheadBytes + listOverheadBytes + keys.sizeBytes(identity);

  const put = (group: number, identity: Identity, stored: StoredList): void => {
    const before = table.get(group, identity);
    account.change(stored.sizeBytes - (before === undefined ? -keySizeBytes(identity) : before.sizeBytes));
    table.set(group, identity, stored);
  };

  const remove = (group: number, identity: Identity): void => {
    const before = table.get(group, identity);
    if (before !== undefined) {
      account.change(-(keySizeBytes(identity) + before.sizeBytes));
      table.delete(group, identity);
    }
  };

  return {
    handle: {
      get() {
        const stored = table.get(current.group, current.identity);
        const elements: unknown[] = [];
        if (stored !== undefined) {
          reader.reset(stored.bytes, 0, stored.sizeBytes);
          for (let index = 0; index < stored.elementCount; index++) {
            elements.push(elementType.decode(reader));
          }
        }
        return elements;
      },
      add(element) {
        writer.reset();
        elementType.encode(element, writer);
        put(current.group, current.identity, append(table.get(current.group, current.identity), writer.view()));
      },
      set(elements) {
        if (elements.length === 0) {
          remove(current.group, current.identity);
          return;
        }
        writer.reset();
        for (const element of elements) {
          elementType.encode(element, writer);
        }
        const bytes = writer.toBytes();
        put(current.group, current.identity, { bytes, sizeBytes: bytes.length, elementCount: elements.length });
      },
      clear: () => remove(current.group, current.identity),
    },
    openSnapshot(): StateTableSnapshot {
      const snapshot = table.openSnapshot();
      return {
        capture: (group) => snapshot.capture(group),
        writeEntry(entry, to) {
          const [identity, stored] = entry as readonly [Identity, StoredList];
          keys.write(identity, to);
          to.writeVarint(stored.elementCount);
          to.writeBytes(stored.bytes.subarray(0, stored.sizeBytes));
        },
        close: () => snapshot.close(),
      };
    },
    readEntry(group, from) {
      const identity = keys.read(from);
      const elementCount = from.readVarint();
      const bytes = from.readBytes();
      put(group, identity, { bytes, sizeBytes: bytes.length, elementCount });
    },
  };
}

/** Only ever called with the newest list of a buffer: an older one would write over the newer one's elements. */
function append(list: StoredList | undefined, element: Uint8Array): StoredList {
  if (list === undefined) {
    return { bytes: element.slice(), sizeBytes: element.length, elementCount: 1 };
  }
  const sizeBytes = list.sizeBytes + element.length;
  let { bytes } = list;
  if (sizeBytes > bytes.length) {
    bytes = new Uint8Array(sizeBytes + (sizeBytes >> 1));
    bytes.set(list.bytes.subarray(0, list.sizeBytes));
  }
  bytes.set(element, list.sizeBytes);
  return { bytes, sizeBytes, elementCount: list.elementCount + 1 };
}
