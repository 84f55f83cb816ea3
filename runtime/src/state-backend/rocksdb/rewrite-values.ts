import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { KeyedStateBackendOptions } from '../state-backend.ts';
import { stateIdPosition } from './copy-part.ts';
import { eachRow } from './each-row.ts';
import { columnFamilyOf, deathSizeBytes, keyGroupBounds, readUint16 } from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import type { StateIds } from './state-ids.ts';
import type { ValueRewrite } from './value-forms.ts';

/**
 * Writes all values of some states anew, before the first record: only where values do not say what form they have. The database is the backend's own and the
 * checkpoint stays as it is, so a failure on the way is a restore from the beginning.
 */
export async function rewriteValues(
  database: NativeDatabase,
  { keyGroups, keyType, states }: KeyedStateBackendOptions,
  { rewrites, stateIds }: { readonly rewrites: ReadonlyMap<string, ValueRewrite>; readonly stateIds: StateIds },
): Promise<void> {
  const concerned = states.map(({ declaration }) => declaration).filter(({ name }) => rewrites.has(name));
  const valueReader = new BinaryReader(new Uint8Array(0));
  for (const columnFamily of new Set(concerned.map(columnFamilyOf))) {
    const byId = new Map(
      concerned
        .filter((declaration) => columnFamilyOf(declaration) === columnFamily)
        .map((declaration) => [
          stateIds.byName.get(declaration.name),
          { declaration, ...(rewrites.get(declaration.name) as ValueRewrite) },
        ]),
    );
    await eachRow(database, database, { columnFamily, ...keyGroupBounds(keyGroups), keysOnly: false }, (row, batch) => {
      const { bytes, keyStart, keyEnd, valueEnd } = row;
      const rewrite = byId.get(readUint16(bytes, stateIdPosition(row, keyType)));
      if (rewrite === undefined) {
        return;
      }
      const { declaration, from, convert, to } = rewrite;
      const valueStart = keyEnd + (declaration.ttl === undefined ? 0 : deathSizeBytes);
      batch.key.writeRaw(bytes.subarray(keyStart, keyEnd));
      batch.value.writeRaw(bytes.subarray(keyEnd, valueStart));
      valueReader.reset(bytes, valueStart, valueEnd);
      // One value, or the elements of a list.
      while (valueReader.remaining > 0) {
        to.encode(convert(from.decode(valueReader)), batch.value);
      }
      batch.put(columnFamily);
    });
  }
}
