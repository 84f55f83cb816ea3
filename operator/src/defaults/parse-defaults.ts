import { parseDocument } from 'yaml';
import type { Problem } from '../api/flink-job-status.ts';
import { parseFlinkJobSpec } from '../api/parse-flink-job.ts';
import { mergeDefaults, type SpecDefaults } from './merge-defaults.ts';

/** In the namespace of the FlinkJobs that it is for. */
export const defaultsName = 'flinkjob-defaults';
/** The one key of its data. */
const defaultsKey = 'spec';

/** What a namespace says for its FlinkJobs. */
export type NamespaceDefaults =
  | { readonly state: 'None' }
  | { readonly state: 'Usable'; readonly spec: SpecDefaults }
  | { readonly state: 'Unusable'; readonly problem: Problem };

/** Reads the content of the ConfigMap, and holds it against the schema. Whatever is wrong is one problem, which says where. */
export function parseDefaults(namespace: string, data: Readonly<Record<string, string>> | undefined): NamespaceDefaults {
  const where = `ConfigMap ${namespace}/${defaultsName}`;
  const unknown = Object.keys(data ?? {}).find((key) => key !== defaultsKey);
  if (unknown !== undefined) {
    return unusable(`${where}, key ${unknown}: unknown key`, `Remove it. Known here: ${defaultsKey}.`);
  }
  const text = data?.[defaultsKey];
  if (text === undefined) {
    return unusable(
      `${where}: there is no key ${defaultsKey}`,
      `Add ${defaultsKey}, a part of a FlinkJob’s spec in YAML, or delete the ConfigMap.`,
    );
  }
  const place = `${where}, key ${defaultsKey}`;
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const [message = ''] = error.message.split('\n');
    return unusable(`${place}: ${message.replace(/:$/, '')}`, 'Correct the YAML.');
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (cause) {
    // Aliases that would grow beyond all measure.
    return unusable(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, 'Correct the YAML.');
  }
  if (value === null || value === undefined) {
    return { state: 'None' };
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    return unusable(
      `${place}: expected a map of fields`,
      'Write fields of a FlinkJob’s spec, such as checkpoints: { retain: 5 }.',
    );
  }
  const spec = value as SpecDefaults;
  const state = spec['state'];
  if (state !== undefined && (typeof state !== 'object' || state === null || Array.isArray(state))) {
    return unusable(`${place}: state: expected a map of fields`, 'Correct state.');
  }
  const kept = ownWords.find(({ path, isBad }) => isBad(valueAt(spec, path)));
  if (kept !== undefined) {
    return unusable(`${place}: ${kept.path.join('.')}: ${kept.why}`, 'Write it into the FlinkJobs that want it.');
  }
  return checked(spec, place);
}

/** On top of a FlinkJob that says nothing else: what is wrong then is wrong with the defaults. */
function checked(spec: SpecDefaults, place: string): NamespaceDefaults {
  const parsed = parseFlinkJobSpec(mergeDefaults(spec, emptyJob));
  if (parsed.ok) {
    return { state: 'Usable', spec };
  }
  const local = (text: string) => text.replaceAll(/\bspec\.(?=[a-z])/g, '');
  const [first] = parsed.problems;
  const messages = parsed.problems.map(({ message }) => local(message)).join('; ');
  return unusable(`${place}: ${messages}`, first?.remedy === undefined ? undefined : local(first.remedy));
}

const emptyJob = { job: { module: 'module' }, state: { checkpointStorage: 's3://bucket' } };

interface OwnWord {
  readonly path: readonly string[];
  readonly isBad: (value: unknown) => boolean;
  readonly why: string;
}

const isThere = (value: unknown) => value !== undefined;
const ofEachJob = 'says what one job is, and has no default for all';

/**
 * What only a FlinkJob itself may say. What and where its state is: a default that changed would send a FlinkJob that is created again to an empty place. What loses state, data or
 * exactly-once output: that is never said once for all.
 */
const ownWords: readonly OwnWord[] = [
  ...['engine', 'image', 'job', 'restartNonce'].map((name) => ({ path: [name], isBad: isThere, why: ofEachJob })),
  { path: ['restore'], isBad: isThere, why: 'is asked for by one job, once, and has no default for all' },
  ...['checkpointStorage', 'backend'].map((name) => ({
    path: ['state', name],
    isBad: isThere,
    why: 'says where and what the state of one job is; a default that changes would lead it away from its state',
  })),
  {
    ...{ path: ['upgrade', 'mode'], isBad: (value) => value === 'Stateless' },
    why: 'Stateless drops the state of a job, which only the job itself may ask for',
  },
  {
    ...{ path: ['upgrade', 'rollback', 'allowRewind'], isBad: (value) => value === true },
    why: 'true writes output of a job again, which only the job itself may ask for',
  },
  {
    ...{ path: ['checkpoints', 'onDelete'], isBad: (value) => value === 'Purge' },
    why: 'Purge deletes the state of a job, which only the job itself may ask for',
  },
];

function valueAt(spec: SpecDefaults, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? (at as SpecDefaults)[name] : undefined),
    spec,
  );
}

function unusable(message: string, remedy: string | undefined): NamespaceDefaults {
  return { state: 'Unusable', problem: { code: 'DefaultsUnusable', message, remedy } };
}
