import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { putObject } from '../checkpoint-storage/verified-objects.ts';
import { assert } from '../core/assert.ts';
import { stateSizeBytes } from '../core/checkpoint/assemble-manifest.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { encodeManifest } from '../core/checkpoint/manifest-format.ts';
import { type NamedFile, namedFiles, relocateManifest } from '../core/checkpoint/relocate-manifest.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord, ImportRequest } from '../core/lineage/entries.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import { manifestPath, sharedFileOfPath } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { LineageLog } from '../job-manager/lineage-log.ts';
import { type CheckpointSource, stateToImport } from './checkpoint-source.ts';
import { type CopyProgress, copyFiles, type FileCopy } from './copy-files.ts';

export interface ImportOptions {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
  /** Open: the import is part of its epoch. */
  readonly lineage: LineageLog;
  readonly rules: Pick<LineageRules, 'checkpointDirectory' | 'sharedFilePath'>;
  readonly source: CheckpointSource;
  readonly request: ImportRequest;
  /** Kept with the record until it is surely removed in the source's log. */
  readonly pinId: string | undefined;
  readonly onProgress: (progress: CopyProgress) => void;
  readonly beforeEach: () => void;
}

/**
 * Copies a checkpoint of another lineage, or an exported one, into this one and makes it the head: files under names of this epoch, then a manifest, then
 * `Imported`, which honours the restore request. Before that entry nothing has happened; after it, this lineage needs the source no more. Tables that an
 * import by an earlier epoch has copied already are used where they are, so one that was interrupted is continued.
 */
export async function importCheckpoint(
  options: ImportOptions,
): Promise<{ readonly record: CheckpointRecord; readonly manifest: CheckpointManifest }> {
  const { storage, clock, lineage, rules, source, request, pinId } = options;
  const { epoch } = lineage;
  assert(epoch !== undefined, 'an import is part of an epoch');
  const original = stateToImport(source);
  // Above the source's too, so that people who compare the two see what follows what.
  const checkpointId = Math.max(lineage.view.nextCheckpointId, original.checkpointId + 1);
  const directory = rules.checkpointDirectory({ checkpointId, epoch, kind: 'Checkpoint' });
  const present = tablesByContent(await storage.list('shared/'), lineage.view);
  const place = (file: NamedFile): string => {
    const { sha256, isTable } = file;
    // Execution attempt 0 is before all that run tasks, so no task ever gives this name to anything.
    const own = { epoch, sha256, executionAttempt: 0, forgetRequest: 0 };
    return isTable ? (present.get(keyOf(file)) ?? rules.sharedFilePath(own)) : `${directory}/${sha256}`;
  };
  const { onProgress, beforeEach } = options;
  await copyFiles(copiesOf(original, place), { source: source.storage, target: storage, clock, onProgress, beforeEach });
  beforeEach();
  const { exported: _exported, savepoint: _savepoint, ...state } = relocateManifest(original, place);
  const manifest: CheckpointManifest = { ...state, checkpointId, epoch, executionAttempt: 0, kind: 'Checkpoint' };
  const reference = await putObject({ storage, clock }, manifestPath(directory), encodeManifest(manifest));
  await lineage.append((view) => {
    refuseCondemned(view, [reference.path, ...namedFiles(manifest).map(({ path }) => path)]);
    return {
      type: 'Imported',
      checkpointId,
      manifest: reference,
      stateSizeBytes: stateSizeBytes(manifest),
      from: source.url,
      kind: 'Checkpoint',
      sourceCheckpointId: original.checkpointId,
      ...(pinId === undefined ? {} : { pinId }),
      restoreToken: request.token,
    };
  });
  const record = lineage.view.checkpoints.find(({ manifest: { path } }) => path === reference.path);
  assert(record !== undefined, 'a checkpoint that was imported is in the view');
  return { record, manifest };
}

/** Equal content is copied once. */
function copiesOf(manifest: CheckpointManifest, place: (file: NamedFile) => string): readonly FileCopy[] {
  const copies = namedFiles(manifest).map((file) => ({
    from: file.path,
    to: place(file),
    sizeBytes: file.sizeBytes,
    sha256: file.sha256,
  }));
  return [...new Map(copies.map((copy) => [copy.to, copy])).values()];
}

/** Files of this lineage whose name says what is in them, by content; without those that are condemned. */
function tablesByContent(
  objects: readonly { readonly path: string; readonly sizeBytes: number }[],
  view: LineageView,
): ReadonlyMap<string, string> {
  const condemned = new Set(view.condemnations.flatMap(({ names }) => names));
  return new Map(
    objects.flatMap(({ path, sizeBytes }) => {
      const shared = sharedFileOfPath(path);
      return shared === undefined || condemned.has(path) ? [] : [[keyOf({ sha256: shared.sha256, sizeBytes }), path] as const];
    }),
  );
}

function keyOf({ sha256, sizeBytes }: Pick<NamedFile, 'sha256' | 'sizeBytes'>): string {
  return `${sha256} ${sizeBytes}`;
}

/** Rule 8: what is condemned is never named again. A janitor may have taken what an earlier import left; the next try copies it anew. */
function refuseCondemned(view: LineageView, names: readonly string[]): void {
  const condemned = new Set(view.condemnations.flatMap((entry) => entry.names));
  const name = names.find((each) => condemned.has(each));
  if (name !== undefined) {
    throw new JobError(`${name} was condemned while it was being imported`, {
      domain: 'external',
      retry: 'backoff',
      code: 'ImportDisturbed',
      remedy: 'Nothing to do: it is imported again.',
    });
  }
}
