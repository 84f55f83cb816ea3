import type { FlinkJobSpec } from '../api/flink-job-spec.ts';
import type { Problem } from '../api/flink-job-status.ts';
import { type Parsed, parseFlinkJobSpec } from '../api/parse-flink-job.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import type { Revision } from '../flink-job/revision.ts';
import { canonicalJson, diffRevisions } from '../flink-job/spec-diff.ts';
import { mergeDefaults, type SpecDefaults } from './merge-defaults.ts';
import { defaultsName, type NamespaceDefaults } from './parse-defaults.ts';

/** How a job stands to the defaults of its namespace, for people. */
export type DefaultsStanding =
  | { readonly state: 'TakenIn' }
  /** `changes`: what the next change of the spec takes in. */
  | { readonly state: 'Changed'; readonly changes: readonly string[] }
  | { readonly state: 'Unusable'; readonly problem: Problem };

/** Of a FlinkJob, what it asks for is made from. */
interface AsWritten {
  readonly spec: unknown;
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> | undefined };
}

export interface ChosenDefaults {
  readonly desired: { readonly valid: true; readonly revision: Revision } | { readonly valid: false; readonly problem: Problem };
  /** Undefined where there are no defaults. */
  readonly standing: DefaultsStanding | undefined;
}

/**
 * The revision that a FlinkJob asks for. `known` are revisions that may be what its spec has become already, each with the defaults that it was built with: then these count, and a
 * default that has changed since changes nothing. Else the spec was changed so that the job is to be started anew, and takes in the defaults as they are now. Pure.
 */
export function chooseDefaults(options: {
  readonly flinkJob: AsWritten;
  readonly known: readonly (Revision | undefined)[];
  readonly latest: NamespaceDefaults;
  /** The job was suspended, and is wanted again: a start that is asked for. */
  readonly isResumed: boolean;
}): ChosenDefaults {
  const { flinkJob, known, latest, isResumed } = options;
  // By itself: a mistake of its author is not put down to the defaults.
  const written = parseFlinkJobSpec(flinkJob.spec);
  if (!written.ok) {
    return { desired: { valid: false, problem: problemOf(written) }, standing: standingOf(latest) };
  }
  const built = known.find((revision) => revision !== undefined && isBuiltFrom(revision, flinkJob, written.value));
  if (built !== undefined && !(isResumed && written.value.job.desiredState === 'Running')) {
    const revision = revisionOf(flinkJob, built.defaults, written.value);
    return revision.ok
      ? { desired: { valid: true, revision: revision.value }, standing: standingBeside(revision.value, flinkJob, latest) }
      : { desired: { valid: false, problem: beside(revision) }, standing: standingOf(latest) };
  }
  if (latest.state === 'Unusable') {
    return { desired: { valid: false, problem: latest.problem }, standing: standingOf(latest) };
  }
  const revision = revisionOf(flinkJob, latest.state === 'Usable' ? latest.spec : undefined, written.value);
  return revision.ok
    ? { desired: { valid: true, revision: revision.value }, standing: standingOf(latest) }
    : { desired: { valid: false, problem: beside(revision) }, standing: standingOf(latest) };
}

/** Whether the spec, with the defaults of that revision, asks for nothing that would not be in it. */
export function isBuiltFrom(revision: Revision, flinkJob: AsWritten, written: FlinkJobSpec): boolean {
  const asked = revisionOf(flinkJob, revision.defaults, written);
  return asked.ok && diffRevisions(revision, asked.value).action === 'None';
}

/** `written`: the spec without defaults, which need not be parsed again. */
function revisionOf({ spec, metadata }: AsWritten, defaults: SpecDefaults | undefined, written: FlinkJobSpec): Parsed<Revision> {
  const parsed =
    defaults === undefined ? { ok: true as const, value: written } : parseFlinkJobSpec(mergeDefaults(defaults, spec));
  return parsed.ok ? { ok: true, value: { ...buildRevision(parsed.value, metadata), ...(defaults && { defaults }) } } : parsed;
}

function standingOf(latest: NamespaceDefaults): DefaultsStanding | undefined {
  switch (latest.state) {
    case 'None':
      return undefined;
    case 'Usable':
      return { state: 'TakenIn' };
    case 'Unusable':
      return { state: 'Unusable', problem: latest.problem };
  }
}

/** Of a job that goes on with the defaults that it was built with. */
function standingBeside(built: Revision, flinkJob: AsWritten, latest: NamespaceDefaults): DefaultsStanding | undefined {
  if (latest.state === 'Unusable') {
    return standingOf(latest);
  }
  const spec = latest.state === 'Usable' ? latest.spec : undefined;
  if (canonicalJson(spec) === canonicalJson(built.defaults)) {
    return standingOf(latest);
  }
  const parsed = parseFlinkJobSpec(mergeDefaults(spec, flinkJob.spec));
  if (!parsed.ok) {
    return { state: 'Unusable', problem: beside(parsed) };
  }
  const { changes } = diffRevisions(built, buildRevision(parsed.value, flinkJob.metadata));
  return changes.length > 0 ? { state: 'Changed', changes } : (standingOf(latest) ?? { state: 'TakenIn' });
}

type Refused = Extract<Parsed<unknown>, { readonly ok: false }>;

function problemOf({ problems }: Refused): Problem {
  return { code: 'InvalidSpec', message: problems.map(({ message }) => message).join('; '), remedy: problems[0]?.remedy };
}

/** The spec is right, and so are the defaults, and together they are not. */
function beside(refused: Refused): Problem {
  const { message, remedy } = problemOf(refused);
  return {
    code: 'DefaultsUnusable',
    message: `with the defaults of ConfigMap ${defaultsName} in its namespace: ${message}`,
    remedy: [remedy, `Say otherwise in the FlinkJob, or correct the ConfigMap.`].filter(Boolean).join(' '),
  };
}
