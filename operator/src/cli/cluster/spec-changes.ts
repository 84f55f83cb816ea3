import { type ChangeMeaning, changeMeanings } from '../../api/change-meanings.ts';
import { canonicalJson } from '../../flink-job/spec-diff.ts';
import { redactValue } from './redact.ts';

/** What differs between two specs, field by field, and what each change means for a job that runs. */

export interface SpecChange {
  /** Below `spec`, to the leaf: `job.args.topic`. */
  readonly path: readonly string[];
  /** Undefined where there is none. */
  readonly before: unknown;
  readonly after: unknown;
  /** Undefined for a field that this version does not know. */
  readonly meaning: ChangeMeaning | undefined;
}

/** Pure. In the order of the fields' names. */
export function specChanges(before: unknown, after: unknown, path: readonly string[] = []): readonly SpecChange[] {
  if (canonicalJson(before) === canonicalJson(after)) {
    return [];
  }
  if ((isMap(before) || isMap(after)) && (isMap(before) || before === undefined) && (isMap(after) || after === undefined)) {
    const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].sort();
    return names.flatMap((name) => specChanges(before?.[name], after?.[name], [...path, name]));
  }
  return [{ path, before, after, meaning: meaningOf(path) }];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Arguments and labels are maps of the author's own: the meaning is that of the whole. */
function meaningOf(path: readonly string[]): ChangeMeaning | undefined {
  const known: Readonly<Record<string, ChangeMeaning>> = changeMeanings;
  for (let length = path.length; length > 0; length -= 1) {
    const found = known[path.slice(0, length).join('.')];
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

const words: Readonly<Record<ChangeMeaning, string>> = {
  Ignore: 'nothing is touched now',
  Lifecycle: 'suspends or resumes the job',
  Scale: 'rescales the job',
  Restart: 'replaces the revision that runs',
  Restore: 'starts from what the field asks for',
};

/** `spec.image: a → b   (replaces the revision that runs)`; values that look like credentials are not shown. */
export function changeLines(changes: readonly SpecChange[]): readonly string[] {
  return changes.map(({ path, before, after, meaning }) => {
    const what = meaning === undefined ? 'a field that this version does not know' : words[meaning];
    return `  spec.${path.join('.')}: ${shown(path, before)} → ${shown(path, after)}  (${what})`;
  });
}

/** More of one value than this hides the rest. */
const valueLengthMax = 120;

function shown(path: readonly string[], value: unknown): string {
  const text = value === undefined ? 'none' : JSON.stringify(redactValue(value, path.at(-1)));
  return text.length <= valueLengthMax ? text : `${text.slice(0, valueLengthMax)}…`;
}

/** The strongest, in this order: what it amounts to for a job that runs. */
const strength: readonly ChangeMeaning[] = ['Restore', 'Restart', 'Scale', 'Lifecycle', 'Ignore'];

export function strongestMeaning(changes: readonly SpecChange[]): ChangeMeaning | undefined {
  return strength.find((meaning) => changes.some((change) => change.meaning === meaning));
}
