import { unreachable } from '../core/assert.ts';
import { openCanonicalRows } from './canonical/part-rows.ts';
import { openHashmapRows } from './hashmap/part-rows.ts';
import type { NativeBinding } from './rocksdb/native-binding.ts';
import { openRocksDbRows } from './rocksdb/part-rows.ts';
import type { SnapshotRows } from './rows/snapshot-row.ts';
import type { RestoredPart } from './state-backend.ts';

export interface PartRowsPlace {
  /** Asked for when a part is RocksDB's. */
  readonly binding: () => NativeBinding;
  /** A directory that does not exist yet, on a local disk; for each part of RocksDB another one. */
  readonly directory: () => Promise<string>;
}

/** Whatever backend wrote a part: its rows, in order. */
export async function openPartRows(part: RestoredPart, place: PartRowsPlace): Promise<SnapshotRows> {
  switch (part.backend) {
    case 'HashMap':
      return openHashmapRows(part.bytes, part.keyGroups);
    case 'RocksDB':
      return await openRocksDbRows(place.binding(), await place.directory(), part);
    case 'Canonical':
      return openCanonicalRows(part);
    default:
      return unreachable(part.backend);
  }
}
