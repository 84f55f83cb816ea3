import { exitCodes } from '../api/process-config.ts';
import type { KeyedDescription } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import { openSnapshot, type Snapshot } from '../state-reader/open-snapshot.ts';
import type { OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import type { SnapshotEntry } from '../state-reader/snapshot-entry.ts';
import { toJson } from '../state-reader/value-json.ts';
import { formatTable } from './format-table.ts';
import {
  type ActionShape,
  badArguments,
  parseKey,
  parseKeyGroups,
  parseLimit,
  parseStateArguments,
  type StateArguments,
} from './state-arguments.ts';
import { exportJsonLines } from './state-export.ts';
import { declarationOf, entryJson, mapKeyTypeOf } from './state-json.ts';
import { cutCell, printLists } from './state-lists.ts';
import { formatSnapshot, snapshotJson } from './state-report.ts';

interface Action extends ActionShape {
  readonly run: (snapshot: Snapshot, args: StateArguments) => Promise<number>;
}

const actions: readonly Action[] = [
  { name: 'ls', options: ['output', 'local-directory'], words: { min: 1, max: 1 }, run: list },
  { name: 'get', options: ['output', 'local-directory'], words: { min: 3, max: 4 }, run: get },
  { name: 'scan', options: ['output', 'limit', 'key-group', 'local-directory'], words: { min: 2, max: 3 }, run: scan },
  { name: 'export', options: ['to', 'uid', 'state', 'local-directory'], words: { min: 2, max: 2 }, run: exportRows },
];

/** `state ls|get|scan|export`: what is in a checkpoint or savepoint, of whatever state backend, running job or none. Reads only. */
export async function stateCommand(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  const action = actions.find((candidate) => candidate.name === name);
  if (action === undefined) {
    throw badArguments(name === undefined ? 'state needs an action' : `state has no action "${name}"`);
  }
  const args = parseStateArguments(rest, action);
  await using snapshot = await openSnapshot(args.positionals[0] as string, {
    localDirectory: args.values['local-directory'],
  });
  return await action.run(snapshot, args);
}

async function list(snapshot: Snapshot, { values }: StateArguments): Promise<number> {
  process.stdout.write(
    values.output === 'json' ? `${JSON.stringify(snapshotJson(snapshot), undefined, 2)}\n` : formatSnapshot(snapshot),
  );
  return exitCodes.ok;
}

/** Exit code 1 when the key has nothing there. Operator state has no keys: of it everything is printed. */
async function get(snapshot: Snapshot, { positionals, values }: StateArguments): Promise<number> {
  const [, uid, state, keyText] = positionals as readonly [string, string, string, string | undefined];
  const operator = snapshot.operator(uid);
  if (operator.isListState(state)) {
    if (keyText !== undefined) {
      throw badArguments(`'${state}' of '${uid}' is operator state, which has no keys: leave ${keyText} out`);
    }
    return await printLists(operator, { state, limit: Number.POSITIVE_INFINITY, output: values.output });
  }
  const declaration = operator.declaration(state);
  const keyed = operator.keyed as KeyedDescription;
  if (keyText === undefined) {
    throw badArguments(`state get of the keyed state '${state}' needs a key`);
  }
  const key = parseKey(keyText, keyed.keyType);
  const found: SnapshotEntry[] = [];
  for await (const entry of operator.entries({ state, key })) {
    found.push(entry);
  }
  const [only] = found;
  if (only === undefined) {
    process.stderr.write(`'${uid}' has nothing in '${state}' for the key ${JSON.stringify(toJson(keyed.keyType, key))}\n`);
    return exitCodes.failed;
  }
  const isSingle = declaration.stateType !== 'list' && declaration.stateType !== 'map' && declaration.namespaced !== true;
  if (isSingle && values.output === undefined && only.type === 'State') {
    process.stdout.write(`${JSON.stringify(toJson(storedTypeOf(declaration), only.value))}\n`);
  } else {
    print(operator, found, values.output);
  }
  return exitCodes.ok;
}

async function scan(snapshot: Snapshot, { positionals, values }: StateArguments): Promise<number> {
  const [, uid, state] = positionals as readonly [string, string, string | undefined];
  const operator = snapshot.operator(uid);
  const limit = parseLimit(values.limit, scanLimitDefault);
  const isOfLists =
    state === undefined
      ? operator.keyed === undefined && operator.state.operatorLists !== undefined
      : operator.isListState(state);
  if (isOfLists) {
    if (values['key-group'] !== undefined) {
      throw badArguments('--key-group chooses among keyed state, and this is operator state');
    }
    return await printLists(operator, { state, limit, output: values.output });
  }
  const found: SnapshotEntry[] = [];
  let isMore = false;
  for await (const entry of operator.entries({ state, keyGroups: parseKeyGroups(values['key-group']) })) {
    if (found.length === limit) {
      isMore = true;
      break;
    }
    found.push(entry);
  }
  print(operator, found, values.output);
  if (isMore) {
    process.stderr.write(`These are the first ${limit}; there are more (--limit N, or state export).\n`);
  }
  return exitCodes.ok;
}

/** A table is laid out as a whole; more than a screen of it is rarely read. */
const scanLimitDefault = 100;

async function exportRows(snapshot: Snapshot, { positionals, values }: StateArguments): Promise<number> {
  const [, file] = positionals as readonly [string, string];
  if (values.to !== 'jsonl') {
    throw badArguments(values.to === undefined ? 'state export needs --to jsonl' : `state export does not write ${values.to}`);
  }
  if (values.state !== undefined && values.uid === undefined) {
    throw badArguments('--state names a state of the operator that --uid names');
  }
  await exportJsonLines(snapshot, file, { uid: values.uid, state: values.state });
  return exitCodes.ok;
}

function print(operator: OperatorSnapshot, entries: readonly SnapshotEntry[], output: string | undefined): void {
  const keyed = operator.keyed as KeyedDescription;
  const lines =
    output === 'json'
      ? entries.map((entry) => JSON.stringify(entryJson(operator.uid, keyed, entry)))
      : formatTable(
          ['KEY GROUP', 'KEY', 'NAMESPACE', 'STATE', 'AT', 'VALUE', 'DIES'],
          entries.map((entry) => row(keyed, entry)),
        );
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function row(keyed: KeyedDescription, entry: SnapshotEntry): readonly string[] {
  const { keyType, namespaceType } = keyed;
  const where = [
    String(entry.keyGroup),
    JSON.stringify(toJson(keyType, entry.key)),
    namespaceType === undefined || entry.namespace === undefined ? '' : JSON.stringify(toJson(namespaceType, entry.namespace)),
  ];
  if (entry.type === 'Timer') {
    return [
      ...where,
      entry.domain === 'EventTime' ? 'event-time timer' : 'processing-time timer',
      String(entry.timestampMs),
      '',
      '',
    ];
  }
  const declaration = declarationOf(keyed, entry);
  const mapKeyType = mapKeyTypeOf(declaration);
  return [
    ...where,
    entry.state,
    mapKeyType === undefined ? String(entry.index ?? '') : JSON.stringify(toJson(mapKeyType, entry.mapKey)),
    cutCell(JSON.stringify(toJson(storedTypeOf(declaration), entry.value))),
    entry.deathMs === undefined || !Number.isFinite(entry.deathMs) ? '' : new Date(entry.deathMs).toISOString(),
  ];
}
