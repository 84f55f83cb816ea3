import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { namesToCondemn } from '../core/lineage/housekeeping.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { LineageLog } from '../job-manager/lineage-log.ts';
import type { LineageCheck } from './check-lineage.ts';
import { condemnedNameCountMax } from './clean-lineage.ts';

/**
 * Savepoints that were released, of a job without a JobManager, which would condemn them itself. Never the head, a pinned one, or what the last run was
 * started from.
 *
 * A lineage that is closed has no task that could name anything again. In one that is not, whoever ran last may still be there: only what lies in the
 * savepoint's own folder goes, which no task ever names; files that it shared are left to the next JobManager.
 */
export async function condemnReleased(
  log: LineageLog,
  { check, isUnattended }: { readonly check: LineageCheck; readonly isUnattended: boolean },
): Promise<readonly CheckpointRecord[]> {
  let gone: readonly CheckpointRecord[] = [];
  await log.annotate((view) => {
    const released = releasedAndUnused(view);
    const isKnown = view.checkpoints.every(({ manifest }) => check.filesOf.get(manifest.path) !== undefined);
    const names = isKnown ? namesOf(view, released, { check, isUnattended }) : [];
    gone = names.length === 0 ? [] : released;
    return names.length === 0 ? undefined : { type: 'Condemned', names: names.slice(0, condemnedNameCountMax) };
  });
  return gone;
}

function releasedAndUnused(view: LineageView): readonly CheckpointRecord[] {
  const released = new Set(view.releasedSavepoints);
  const used = new Set([
    view.latest?.manifest.path,
    ...view.pins.map(({ checkpoint }) => checkpoint),
    ...(isOver(view) ? [] : [view.opened?.restored.path]),
  ]);
  return view.checkpoints.filter(
    ({ kind, manifest }) => kind === 'Savepoint' && released.has(manifest.path) && !used.has(manifest.path),
  );
}

function isOver({ closed, opened }: LineageView): boolean {
  return closed !== undefined || opened === undefined;
}

function namesOf(
  view: LineageView,
  released: readonly CheckpointRecord[],
  { check, isUnattended }: { readonly check: LineageCheck; readonly isUnattended: boolean },
): readonly string[] {
  const names = namesToCondemn(view, released, ({ manifest }) =>
    (check.filesOf.get(manifest.path) ?? []).map(({ path }) => path),
  );
  const folders = released.map(({ manifest }) => `${directoryOfManifest(manifest.path)}/`);
  const own = (name: string) => folders.some((folder) => name.startsWith(folder));
  // The manifests first: an entry holds so many names, and what is left after it is garbage that the next cleaning finds.
  const sorted = names.toSorted((a, b) => Number(own(b)) - Number(own(a)));
  return isUnattended || isOver(view) ? sorted : sorted.filter(own);
}
