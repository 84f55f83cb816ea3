import { canonicalJson } from '../flink-job/spec-diff.ts';

/** A part of a FlinkJob's spec, as it was written. */
export type SpecDefaults = Readonly<Record<string, unknown>>;

/**
 * What a FlinkJob says, on top of what its namespace says for all: maps field by field, lists as pod templates are merged, entry by entry, and everything else as it is in the
 * FlinkJob. `written` is not checked here; what is no map stays as it is. Pure, and merging twice is merging once.
 */
export function mergeDefaults(defaults: SpecDefaults | undefined, written: unknown): unknown {
  if (defaults === undefined || !isMap(written)) {
    return written;
  }
  return merged(belowWhatIsSaidForAll(defaults, written), written, []);
}

/**
 * A role's template comes on top of `podTemplate`. So what the FlinkJob says there for all its pods is taken out of the roles of the defaults, which would stand above
 * it otherwise.
 */
function belowWhatIsSaidForAll(defaults: SpecDefaults, written: SpecDefaults): SpecDefaults {
  const said = written['podTemplate'];
  if (!isMap(said)) {
    return defaults;
  }
  const roles = ['jobManager', 'taskManager'].flatMap((role) => {
    const ofRole = defaults[role];
    const template = isMap(ofRole) ? ofRole['podTemplate'] : undefined;
    return isMap(ofRole) && isMap(template)
      ? [[role, { ...ofRole, podTemplate: without(template, said, ['podTemplate']) }] as const]
      : [];
  });
  return { ...defaults, ...Object.fromEntries(roles) };
}

type Path = readonly string[];

function merged(below: unknown, above: unknown, path: Path): unknown {
  if (above === undefined || isReplaced(path)) {
    return above ?? below;
  }
  const identify = identityOf(path);
  if (identify !== undefined && Array.isArray(below) && Array.isArray(above)) {
    return mergedLists(below, above, identify);
  }
  if (!isMap(below) || !isMap(above)) {
    return above;
  }
  const names = [...new Set([...Object.keys(below), ...Object.keys(above)])];
  return Object.fromEntries(names.map((name) => [name, merged(below[name], above[name], [...path, name])]));
}

function without(from: SpecDefaults, said: SpecDefaults, path: Path): SpecDefaults {
  const rest = Object.entries(from).flatMap(([name, value]) => {
    const other = said[name];
    const at = [...path, name];
    if (other === undefined) {
      return [[name, value] as const];
    }
    const identify = identityOf(at);
    if (identify !== undefined && Array.isArray(value) && Array.isArray(other)) {
      const known = new Set(other.map(identify));
      return [[name, value.filter((entry) => !known.has(identify(entry)))] as const];
    }
    return isMap(value) && isMap(other) && !isReplaced(at) ? [[name, without(value, other, at)] as const] : [];
  });
  return Object.fromEntries(rest);
}

type Identify = (entry: unknown) => unknown;

const field =
  (name: string): Identify =>
  (entry) =>
    isMap(entry) ? entry[name] : entry;

/** What identifies the entries of a pod template's lists; a list that is not here is replaced. Of `envFrom` all are kept, each once. */
const identities: Readonly<Record<string, Identify>> = {
  env: field('name'),
  envFrom: canonicalJson,
  volumes: field('name'),
  volumeMounts: field('mountPath'),
  containers: field('name'),
  initContainers: field('name'),
  tolerations: field('key'),
  imagePullSecrets: field('name'),
};

function identityOf(path: Path): Identify | undefined {
  return path.at(-2) === 'podTemplate' ? identities[path.at(-1) ?? ''] : undefined;
}

/** In the order of their first mention, which init containers run in. Of two sources with one variable the later one counts, so those of the FlinkJob come last, as they are. */
function mergedLists(below: readonly unknown[], above: readonly unknown[], identify: Identify): readonly unknown[] {
  const known = new Set(above.map(identify));
  if (identify === canonicalJson) {
    return [...below.filter((entry) => !known.has(identify(entry))), ...above];
  }
  const ids = [...new Set([...below, ...above].map(identify))];
  // Several tolerations of one key belong together.
  return ids.flatMap((id) => (known.has(id) ? above : below).filter((entry) => identify(entry) === id));
}

const wholes: ReadonlySet<string> = new Set(['restartStrategy', 'state.localStorage']);

/** Taken as a whole: the fields of a restart strategy go with its type, those of a disk with its class, and an affinity is one thought. */
function isReplaced(path: Path): boolean {
  return wholes.has(path.join('.')) || (path.at(-1) === 'affinity' && path.at(-2) === 'podTemplate');
}

function isMap(value: unknown): value is SpecDefaults {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
