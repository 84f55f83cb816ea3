import { type ChangeMeaning, changeMeanings, type SpecPath } from '../api/change-meanings.ts';
import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import { isNewRestoreRequest, restoreRequestOf } from './restore-request.ts';
import type { Revision } from './revision.ts';

export interface SpecDiff {
  /** The strongest meaning among the changes; `None` when a running job need not be touched. */
  readonly action: 'None' | 'Scale' | 'Restart' | 'Restore';
  /** What differs, for people: spec paths, `module content`, `working directory`. */
  readonly changes: readonly string[];
}

/** What the change from one revision to another means for a job that runs the first. */
export function diffRevisions(before: Revision, after: Revision): SpecDiff {
  const fields = changedFields(before.spec, after.spec);
  const content = differsWhereKnown(before.moduleDigest, after.moduleDigest) ? ['module content'] : [];
  const directory = differsWhereKnown(before.workingDirectory, after.workingDirectory) ? ['working directory'] : [];
  const meanings = new Set<ChangeMeaning>(fields.map((path) => changeMeanings[path]));
  const restart = meanings.has('Restart') || content.length > 0 || directory.length > 0;
  const restore = meanings.has('Restore') && isNewRestoreRequest(restoreRequestOf(before.spec), restoreRequestOf(after.spec));
  return {
    action: restore ? 'Restore' : restart ? 'Restart' : meanings.has('Scale') ? 'Scale' : 'None',
    changes: [...fields.map((path) => `spec.${path}`), ...content, ...directory],
  };
}

function changedFields(before: FlinkJobSpec, after: FlinkJobSpec): readonly SpecPath[] {
  const paths = Object.keys(changeMeanings) as SpecPath[];
  return paths.filter((path) => {
    const [was, is] = [valueAt(before, path), valueAt(after, path)];
    // Most are the same words and numbers, or absent, and this is asked in every pass over a job.
    return was !== is && canonicalJson(was) !== canonicalJson(is);
  });
}

function valueAt(spec: FlinkJobSpec, path: SpecPath): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (at, name) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined),
      spec,
    );
}

/** An unknown digest is no change: who applies a resource by hand does not know it. */
function differsWhereKnown(before: string | undefined, after: string | undefined): boolean {
  return before !== undefined && after !== undefined && before !== after;
}

/** Equal values have equal text, whatever the order of their keys. */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, nested: unknown) =>
      typeof nested === 'object' && nested !== null && !Array.isArray(nested)
        ? Object.fromEntries(Object.entries(nested).sort(([a], [b]) => (a < b ? -1 : 1)))
        : nested,
    ) ?? ''
  );
}
