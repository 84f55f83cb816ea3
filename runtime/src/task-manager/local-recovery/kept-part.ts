import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyedStatePart, StateHandle } from '../../core/checkpoint/manifest.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';

/**
 * What one subtask had on its local disk at one checkpoint: a directory with links to the files, each called by its hash, and `part.json`, which is
 * written last and says which objects of checkpoint storage they are. Without `part.json` the directory is worth nothing.
 */
export interface KeptPart {
  readonly uid: string;
  readonly subtaskIndex: number;
  readonly keyGroups: KeyGroupRange;
  readonly checkpointId: number;
  readonly token: FencingToken;
  readonly files: readonly KeptFile[];
}

/** As the handle in the checkpoint's manifest has it: a file is taken for another only if all three agree. */
export interface KeptFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const indexName = 'part.json';
const indexFormat = 'flinkjob kept part';
const indexVersion = 1;

interface PartIndex extends KeptPart {
  readonly format: typeof indexFormat;
  readonly version: number;
  /** Of whose state it is. */
  readonly lineage: string;
}

/** By the name in the directory; of equal content there is one. */
export function keptFileName({ sha256 }: Pick<KeptFile, 'sha256'>): string {
  return sha256;
}

/** Those that are files of their own; small ones travel in the manifest. */
export function filesOf({ files }: Pick<KeyedStatePart, 'files'>): readonly KeptFile[] {
  return files.flatMap(({ handle }) => asKeptFile(handle) ?? []);
}

function asKeptFile(handle: StateHandle): KeptFile | undefined {
  return handle.type === 'file' ? { path: handle.path, sizeBytes: handle.sizeBytes, sha256: handle.sha256 } : undefined;
}

/** Of the files those that were linked; undefined when there are none, or the directory is gone. */
export async function writeKeptPart(directory: string, lineage: string, part: KeptPart): Promise<KeptPart | undefined> {
  const names = new Set(await readdir(directory).catch(() => []));
  const files = part.files.filter((file) => names.has(keptFileName(file)));
  if (files.length === 0) {
    return undefined;
  }
  const kept = { ...part, files };
  const index: PartIndex = { format: indexFormat, version: indexVersion, lineage, ...kept };
  const temporary = join(directory, `${indexName}.new`);
  // Not synced: after a crash of the machine nothing that was kept is used.
  await writeFile(temporary, `${JSON.stringify(index)}\n`, { flag: 'wx', mode: 0o600 });
  await rename(temporary, join(directory, indexName));
  return kept;
}

/** Throws, saying why, when it cannot be used. */
export async function readKeptPart(
  directory: string,
  expected: { readonly lineage: string; readonly writtenAfterMs: number },
): Promise<KeptPart> {
  const path = join(directory, indexName);
  const { mtimeMs } = await stat(path);
  if (mtimeMs < expected.writtenAfterMs) {
    throw new Error('it is too old');
  }
  const index = JSON.parse(await readFile(path, 'utf8')) as PartIndex;
  if (index.format !== indexFormat || index.version !== indexVersion) {
    throw new Error(`its index has the format ${JSON.stringify(index.format)} in version ${index.version}`);
  }
  if (index.lineage !== expected.lineage) {
    throw new Error(`it belongs to ${index.lineage}`);
  }
  const { uid, subtaskIndex, keyGroups, checkpointId, token, files } = index;
  for (const file of files) {
    const { size } = await stat(join(directory, keptFileName(file)));
    if (size !== file.sizeBytes) {
      throw new Error(`${file.path} has ${size} bytes there and should have ${file.sizeBytes}`);
    }
  }
  return { uid, subtaskIndex, keyGroups, checkpointId, token, files };
}
