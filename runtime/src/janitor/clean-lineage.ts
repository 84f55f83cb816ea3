import { sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { NamedFile } from '../core/lineage/account-objects.ts';
import { deletableCondemnations } from '../core/lineage/housekeeping.ts';
import { entryNumberOf } from '../core/lineage/object-paths.ts';
import type { LineageLog } from '../job-manager/lineage-log.ts';
import { type CheckOptions, type JanitorPorts, type LineageCheck, readAllManifests } from './check-lineage.ts';

/** Names in one `Condemned`: an entry stays well below a megabyte, and a reader of the log holds few of them at a time. */
export const condemnedNameCountMax = 5_000;
/** How many checkpoints may complete while their names are being read. */
const condemnTriesMax = 20;

export interface Cleaned {
  readonly deletedCount: number;
  readonly deletedSizeBytes: number;
}

/**
 * Deletes what `check` proved to be garbage, by the rules of the lineage (8 and 16): the names go into a `Condemned`, then the grace period passes, then
 * they are deleted. It opens nothing and fences nobody: no JobManager, running or not, can ever name what is garbage, so that one which runs only meets
 * the entry and goes on. What was condemned by others and left goes too.
 */
export async function cleanLineage(
  ports: JanitorPorts,
  log: LineageLog,
  { check, graceMs }: { readonly check: LineageCheck } & Pick<CheckOptions, 'graceMs'>,
): Promise<Cleaned> {
  const sizes = new Map(check.objects.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const condemned = new Set(log.view.condemnations.flatMap(({ names }) => names));
  const garbage = check.objects
    .filter(({ path, standing }) => standing === 'Garbage' && entryNumberOf(path) === undefined && !condemned.has(path))
    .map(({ path }) => path);
  const filesOf = new Map(check.filesOf);
  for (let start = 0; start < garbage.length; start += condemnedNameCountMax) {
    await condemn(ports, log, { names: garbage.slice(start, start + condemnedNameCountMax), filesOf });
  }
  const waiting = log.view.condemnations.some(({ names }) => names.some((name) => sizes.has(name)));
  if (waiting) {
    await sleep(ports.clock, graceMs);
  }
  const deleted = await deleteCondemned(ports, log, { sizes, graceMs });
  await log.deleteTrimmedEntries();
  return deleted;
}

/** Names that a checkpoint names which completed in the meantime are left out; there are none, unless a rule is broken. */
async function condemn(
  ports: JanitorPorts,
  log: LineageLog,
  what: { readonly names: readonly string[]; readonly filesOf: Map<string, readonly NamedFile[] | undefined> },
): Promise<void> {
  const { names, filesOf } = what;
  for (let tries = 1; tries <= condemnTriesMax; tries++) {
    let isKnown = true;
    await log.annotate((view) => {
      isKnown = view.checkpoints.every(({ manifest }) => filesOf.get(manifest.path) !== undefined);
      const named = new Set(view.checkpoints.flatMap(({ manifest }) => filesOf.get(manifest.path) ?? []).map(({ path }) => path));
      const going = names.filter((name) => !named.has(name));
      return !isKnown || going.length === 0 ? undefined : { type: 'Condemned', names: going };
    });
    if (isKnown) {
      return;
    }
    const unknown = log.view.checkpoints.filter(({ manifest }) => filesOf.get(manifest.path) === undefined);
    const read = await readAllManifests(ports, unknown);
    for (const [path, files] of read.filesOf) {
      filesOf.set(path, files);
    }
    const [first] = read.unreadable;
    if (first !== undefined) {
      throw new JobError(
        `${ports.storage.url}/${first.path} cannot be read, so nobody knows what it names: ${first.error.message}`,
        {
          ...{ domain: 'external', retry: 'backoff', code: 'ManifestUnreadable' },
          remedy: 'Nothing was deleted. Repair the checkpoint, or release it, and run the janitor again.',
        },
      );
    }
  }
  throw new JobError(`checkpoints of ${ports.storage.url} complete faster than their manifests can be read`, {
    ...{ domain: 'external', retry: 'backoff', code: 'LineageChanging' },
    remedy: 'Run the janitor from a place nearer to the storage, or leave it to the JobManager that runs: it sweeps too.',
  });
}

async function deleteCondemned(
  { storage, clock }: JanitorPorts,
  log: LineageLog,
  what: { readonly sizes: ReadonlyMap<string, number>; readonly graceMs: number },
): Promise<Cleaned> {
  let deletedCount = 0;
  let deletedSizeBytes = 0;
  const deletable = deletableCondemnations(log.view, {
    nowMs: clock.monotonicMs(),
    graceMs: what.graceMs,
    seenAtMs: log.condemnedSeenAtMs,
    deletedEntries: log.deletedCondemnations,
  });
  for (const { entryNumber, names } of deletable) {
    const present = names.filter((name) => what.sizes.has(name));
    await storage.delete(present);
    log.condemnedDeleted(entryNumber);
    deletedCount += present.length;
    deletedSizeBytes += present.reduce((sum, name) => sum + (what.sizes.get(name) ?? 0), 0);
  }
  return { deletedCount, deletedSizeBytes };
}
