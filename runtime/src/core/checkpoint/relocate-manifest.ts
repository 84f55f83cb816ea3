import { JobError } from '../job-error.ts';
import type { CheckpointManifest, KeyedOperatorState, OperatorState, StateFile, StateHandle } from './manifest.ts';

type FileHandle = Extract<StateHandle, { type: 'file' }>;

/** A file that a manifest names. `isTable`: one of RocksDB's, whose blocks are verified by whoever reads them. */
export interface NamedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256, lower-case hex. */
  readonly sha256: string;
  readonly isTable: boolean;
}

/** Each file once, however often it is named. */
export function namedFiles(manifest: CheckpointManifest): readonly NamedFile[] {
  const files = new Map<string, NamedFile>();
  relocateManifest(manifest, (file) => {
    files.set(file.path, file);
    return file.path;
  });
  return [...files.values()];
}

/** Pure: the same state with its files elsewhere. `place` says where a file is now. */
export function relocateManifest(manifest: CheckpointManifest, place: (file: NamedFile) => string): CheckpointManifest {
  const moved = (handle: StateHandle, name: string): StateHandle =>
    handle.type === 'file' ? { ...handle, path: place(namedFile(handle, name)) } : handle;
  return { ...manifest, operators: manifest.operators.map((operator) => relocateOperator(operator, moved)) };
}

type Move = (handle: StateHandle, name: string) => StateHandle;

function relocateOperator(operator: OperatorState, moved: Move): OperatorState {
  const { keyed, broadcast, operatorLists } = operator;
  return {
    ...operator,
    keyed: keyed && relocateKeyed(keyed, moved),
    ...(broadcast === undefined ? {} : { broadcast: { ...broadcast, handle: moved(broadcast.handle, '') } }),
    ...(operatorLists === undefined
      ? {}
      : {
          operatorLists: {
            ...operatorLists,
            parts: operatorLists.parts.map((part) => ({ ...part, handle: moved(part.handle, '') })),
          },
        }),
  };
}

function relocateKeyed(keyed: KeyedOperatorState, moved: Move): KeyedOperatorState {
  const relocateFile = (file: StateFile): StateFile => ({ ...file, handle: moved(file.handle, file.name) });
  const parts = keyed.parts.map((part) => ({ ...part, handle: moved(part.handle, ''), files: part.files.map(relocateFile) }));
  return { ...keyed, parts };
}

function namedFile({ path, sizeBytes, sha256 }: FileHandle, name: string): NamedFile {
  return { path, sizeBytes, sha256, isTable: name.endsWith('.sst') };
}

/**
 * What is used of a manifest before the planner looks at it, of one that no log of ours vouches for. `where` is named in errors. The planner
 * and the state backends check the rest as they read it.
 */
export function checkForeignManifest(manifest: CheckpointManifest, where: string): void {
  const problem = problemOf(manifest);
  if (problem !== undefined) {
    throw new JobError(`checkpoint manifest ${where} is corrupt: ${problem}`, {
      domain: 'external',
      retry: 'never',
      code: 'ManifestCorrupt',
      remedy: 'Bring the file back from a backup, or export the savepoint again.',
    });
  }
}

function problemOf(manifest: CheckpointManifest): string | undefined {
  if (!isCount(manifest.checkpointId) || manifest.checkpointId < 1) {
    return 'checkpointId is no whole number from 1 on';
  }
  let files: readonly NamedFile[];
  try {
    files = namedFiles(manifest);
  } catch {
    return 'its operators do not have the form of operators';
  }
  const wrong = files.find(
    ({ path, sizeBytes, sha256 }) => typeof path !== 'string' || !isCount(sizeBytes) || !/^[0-9a-f]{64}$/.test(sha256),
  );
  return wrong === undefined ? undefined : `the file ${JSON.stringify(wrong.path)} has no length or no hash`;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
