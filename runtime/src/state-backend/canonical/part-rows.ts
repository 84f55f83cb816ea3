import { JobError } from '../../core/job-error.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { type RowTypes, rowTypesOf } from '../rows/row-types.ts';
import {
  batchRowCountMax,
  commonKeyGroups,
  type RowSelection,
  type SnapshotRow,
  type SnapshotRows,
} from '../rows/snapshot-row.ts';
import type { RestoredFile, RestoredPart } from '../state-backend.ts';
import { damaged } from './canonical-errors.ts';
import { type CanonicalFile, type CanonicalPart, decodeCanonicalPart } from './part-description.ts';
import { readRow, writeRowPrefix } from './row-key.ts';
import { type BlockRows, readBlock, readBlocks } from './rows-file.ts';

/**
 * A part in the canonical format as rows. Reads the files that have the key groups asked for and no others, one while the rows of the one before are
 * used: two files are in memory.
 */
export function openCanonicalRows(restored: RestoredPart): SnapshotRows {
  const part = decodeCanonicalPart(restored.bytes);
  const types = rowTypesOf(part.declarations);
  return {
    declarations: part.declarations,
    keyGroups: part.keyGroups,
    read: (selection) => readRows({ restored, part, types }, selection),
    close: async () => {},
  };
}

interface OpenedPart {
  readonly restored: RestoredPart;
  readonly part: CanonicalPart;
  readonly types: RowTypes;
}

/** Keys of rows: `lower` inclusive, `upper` exclusive. */
interface Bounds {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
}

async function* readRows({ restored, part, types }: OpenedPart, selection: RowSelection): AsyncGenerator<readonly SnapshotRow[]> {
  const keyGroups = commonKeyGroups(part.keyGroups, selection.keyGroups);
  if (keyGroups === undefined) {
    return;
  }
  const bounds = boundsOf({ keyGroups, key: selection.key });
  const wanted = part.files.filter((file) => commonKeyGroups(file.keyGroups, keyGroups) !== undefined);
  let next: Promise<Uint8Array> | undefined;
  try {
    for (const [index, file] of wanted.entries()) {
      const bytes = await (next ?? readFile(restored, file));
      const following = wanted[index + 1];
      next = following === undefined ? undefined : readFile(restored, following);
      // It is waited for in the next turn, if there is one.
      next?.catch(() => undefined);
      yield* rowsOfFile(bytes, { file, bounds, types });
    }
  } finally {
    await next?.catch(() => undefined);
  }
}

function boundsOf({ keyGroups, key }: RowSelection): Bounds {
  const lower = new BinaryWriter();
  const upper = new BinaryWriter();
  writeRowPrefix(keyGroups.first, key, lower);
  if (key === undefined) {
    writeRowPrefix(keyGroups.last + 1, undefined, upper);
  } else {
    // No byte after a key can be 0xff: it is the beginning of the state's place, which is small.
    writeRowPrefix(keyGroups.first, key, upper);
    upper.writeByte(0xff);
  }
  return { lower: lower.toBytes(), upper: upper.toBytes() };
}

async function readFile({ files }: RestoredPart, { name, sizeBytes }: CanonicalFile): Promise<Uint8Array> {
  const file: RestoredFile | undefined = files.find((each) => each.name === name);
  if (file === undefined) {
    throw damagedFile(name, 'is named by the description of the part and is not there');
  }
  const bytes = await file.read();
  if (bytes.length !== sizeBytes) {
    throw damagedFile(name, `has ${bytes.length} bytes and should have ${sizeBytes}`);
  }
  return bytes;
}

function* rowsOfFile(
  bytes: Uint8Array,
  { file, bounds, types }: { readonly file: CanonicalFile; readonly bounds: Bounds; readonly types: RowTypes },
): Generator<readonly SnapshotRow[]> {
  const blocks = readBlocks(bytes, file.name);
  if (blocks.reduce((sum, { rowCount }) => sum + rowCount, 0) !== file.rowCount) {
    throw damaged(`${file.name} has not the ${file.rowCount} rows that its description says`);
  }
  for (const [index, block] of blocks.entries()) {
    if (Buffer.compare(block.firstKey, bounds.upper) >= 0) {
      return;
    }
    const following = blocks[index + 1];
    if (following === undefined || Buffer.compare(following.firstKey, bounds.lower) > 0) {
      yield* rowsOfBlock(bytes, readBlock(bytes, block, file.name), { bounds, types });
    }
  }
}

function* rowsOfBlock(
  file: Uint8Array,
  { keys, keyEnds, values }: BlockRows,
  { bounds, types }: { readonly bounds: Bounds; readonly types: RowTypes },
): Generator<readonly SnapshotRow[]> {
  const reader = new BinaryReader(keys);
  const keyBuffer = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
  let batch: SnapshotRow[] = [];
  for (let index = 0, start = 0; index < keyEnds.length; index++) {
    const end = keyEnds[index] as number;
    if (isWithin(keyBuffer, start, end, bounds)) {
      reader.reset(keys, start, end);
      batch.push(readRow(reader, keys, file.subarray(values[2 * index], values[2 * index + 1]), types));
      if (reader.remaining !== 0) {
        throw reader.corrupt("a row's key that goes on after its last piece");
      }
      if (batch.length === batchRowCountMax) {
        yield batch;
        batch = [];
      }
    }
    start = end;
  }
  if (batch.length > 0) {
    yield batch;
  }
}

function isWithin(keys: Buffer, start: number, end: number, { lower, upper }: Bounds): boolean {
  return keys.compare(lower, 0, lower.length, start, end) >= 0 && keys.compare(upper, 0, upper.length, start, end) < 0;
}

function damagedFile(name: string, problem: string): JobError {
  return new JobError(`the file ${name} of a part of keyed state ${problem}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateFileDamaged',
    remedy: 'Restore the file from a backup, or start from another checkpoint with restore.from: Path.',
  });
}
