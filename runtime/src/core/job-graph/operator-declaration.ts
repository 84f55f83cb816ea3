import { anyType } from '../types/any-type.ts';
import type { Type } from '../types/type.ts';
import type { KeySelection, OperatorImplementation, StateImplementation } from './executable-job.ts';
import { invalidJob } from './invalid-job.ts';
import type { OperatorDescription, OperatorType } from './job-graph.ts';
import { checkOutputTag, checkUid } from './operator-uid.ts';

export interface JobGraphOptions {
  readonly name: string;
  /** Of operators that ask for none. */
  readonly parallelism: number;
  readonly maxParallelism: number;
}

/** An operator as the API declares it. */
export interface OperatorDeclaration {
  readonly type: OperatorType;
  readonly uid: unknown;
  /** Asked for by the author. */
  readonly parallelism: unknown;
  /** None of a source. Several with one ordinal are a union. */
  readonly inputs: readonly OperatorInput[];
  /** Of the operator's main output; undefined where the author declared none. */
  readonly recordType: Type<unknown> | undefined;
  /** By tag. */
  readonly sideOutputs?: Readonly<Record<string, Type<unknown>>> | undefined;
  /** Of the operator's broadcast input. */
  readonly broadcastStates?: readonly StateImplementation[] | undefined;
  /** Lists that belong to the operator's subtasks. */
  readonly operatorListStates?: readonly StateImplementation[] | undefined;
  readonly implementation: OperatorImplementation;
}

export interface OperatorInput {
  readonly from: DeclaredOperator;
  /** A side output of `from`; undefined: its main output. */
  readonly outputTag: string | undefined;
  /** Which input of the operator, from 0. */
  readonly ordinal: number;
  /** Records are sent to the subtask that owns their key group. */
  readonly key: KeySelection | undefined;
  /** Every subtask gets every record. */
  readonly broadcast: boolean;
}

export interface DeclaredOperator {
  readonly description: OperatorDescription;
  readonly implementation: OperatorImplementation;
  readonly broadcastStates: readonly StateImplementation[];
  readonly operatorListStates: readonly StateImplementation[];
  readonly parallelism: number;
  readonly inputs: readonly OperatorInput[];
  readonly recordType: Type<unknown>;
  readonly sideOutputs: ReadonlyMap<string, Type<unknown>>;
}

const typesWithUid: ReadonlySet<OperatorType> = new Set([
  'source',
  'sink',
  'keyedProcess',
  'process',
  'reduce',
  'window',
  'keyedCoProcess',
  'broadcastProcess',
  'keyedBroadcastProcess',
]);

/** Checks a declaration by itself and gives it its place in the graph. `index` counts the operators declared before it. */
export function declareOperator(declaration: OperatorDeclaration, index: number, options: JobGraphOptions): DeclaredOperator {
  const { type, implementation, inputs } = declaration;
  const given = declaration.uid;
  const uid = typesWithUid.has(type) || given !== undefined ? checkUid(given, formatOperator(declaration)) : undefined;
  const name = uid ?? type;
  const sideOutputs = new Map(Object.entries(declaration.sideOutputs ?? {}));
  for (const tag of sideOutputs.keys()) {
    checkOutputTag(tag, formatOperator(declaration));
  }
  checkStateNames(declaration);
  return {
    description: describe(declaration, { id: uid ?? `#${index}-${type}`, uid, name }),
    implementation,
    broadcastStates: declaration.broadcastStates ?? [],
    operatorListStates: declaration.operatorListStates ?? [],
    parallelism: chooseParallelism(declaration, name, options),
    inputs,
    recordType: declaration.recordType ?? anyType,
    sideOutputs,
  };
}

/** The kinds of state are told apart by name alone where a restore is allowed to drop or add them. */
function checkStateNames(declaration: OperatorDeclaration): void {
  const { implementation, broadcastStates = [], operatorListStates = [] } = declaration;
  const kinds: readonly (readonly [string, readonly StateImplementation[]])[] = [
    ['keyed state', implementation.type === 'keyedProcess' ? implementation.states : []],
    ['broadcast state', broadcastStates],
    ['operator state', operatorListStates],
  ];
  const kindOf = new Map<string, string>();
  for (const [kind, states] of kinds) {
    for (const { name } of states.map((state) => state.declaration)) {
      const other = kindOf.get(name);
      if (other !== undefined && other !== kind) {
        throw invalidJob(
          'StateNameDuplicate',
          `${formatOperator(declaration)} has ${other} and ${kind} of the name "${name}"`,
          'Give one of them another name.',
        );
      }
      kindOf.set(name, kind);
    }
  }
}

function describe(
  declaration: OperatorDeclaration,
  named: Pick<OperatorDescription, 'id' | 'uid' | 'name'>,
): OperatorDescription {
  const { type, implementation, broadcastStates, operatorListStates = [] } = declaration;
  const sideOutputs = Object.entries(declaration.sideOutputs ?? {});
  return {
    ...named,
    type,
    keyed:
      implementation.type === 'keyedProcess'
        ? {
            keyType: implementation.keyType.descriptor,
            states: implementation.states.map((state) => state.declaration),
            timers: implementation.function.timer !== undefined,
            ...(implementation.namespaceType === undefined ? {} : { namespaceType: implementation.namespaceType.descriptor }),
          }
        : undefined,
    source:
      implementation.type === 'source'
        ? {
            bounded: implementation.source.bounded,
            replayable: implementation.source.replayable,
            positionType: implementation.source.positionType.descriptor,
          }
        : undefined,
    ...describeWatermarks(implementation),
    sink: implementation.type === 'sink' ? { guarantee: implementation.sink.guarantee } : undefined,
    ...(broadcastStates === undefined ? {} : { broadcast: { states: broadcastStates.map((state) => state.declaration) } }),
    ...(operatorListStates.length === 0
      ? {}
      : { operatorLists: { states: operatorListStates.map((state) => state.declaration) } }),
    ...(sideOutputs.length === 0
      ? {}
      : { sideOutputs: sideOutputs.map(([tag, recordType]) => ({ tag, recordType: recordType.descriptor })) }),
  };
}

function describeWatermarks(implementation: OperatorImplementation): Pick<OperatorDescription, 'watermarks'> {
  const watermarks =
    implementation.type === 'source' || implementation.type === 'timestamps' ? implementation.watermarks : undefined;
  if (watermarks === undefined) {
    return {};
  }
  const { outOfOrdernessMs, idleMs, alignment } = watermarks;
  return {
    watermarks: {
      outOfOrdernessMs,
      ...(idleMs === undefined ? {} : { idleMs }),
      ...(alignment === undefined ? {} : { alignment }),
    },
  };
}

function chooseParallelism({ parallelism, implementation }: OperatorDeclaration, name: string, options: JobGraphOptions): number {
  const limit = (implementation.type === 'source' ? implementation.source.parallelismMax : undefined) ?? options.maxParallelism;
  if (parallelism === undefined) {
    return Math.min(options.parallelism, limit);
  }
  if (typeof parallelism !== 'number' || !Number.isSafeInteger(parallelism) || parallelism < 1 || parallelism > limit) {
    throw invalidJob(
      'ParallelismInvalid',
      `"${name}" asks for a parallelism of ${String(parallelism)}`,
      `Use a whole number from 1 to ${limit}, or leave it out to take the job's.`,
    );
  }
  return parallelism;
}

/** For messages, before the operator has a name of its own. */
export function formatOperator({
  type,
  implementation,
  uid,
}: Pick<OperatorDeclaration, 'type' | 'implementation' | 'uid'>): string {
  const named = typeof uid === 'string' && uid !== '' ? ` "${uid}"` : '';
  switch (implementation.type) {
    case 'source':
      return `the source ${implementation.source.name}${named}`;
    case 'sink':
      return `the sink ${implementation.sink.name}${named}`;
    default:
      return `the operator ${methodOf(type)}${named}`;
  }
}

/** What the author called. */
function methodOf(type: OperatorType): string {
  switch (type) {
    case 'keyedProcess':
    case 'keyedCoProcess':
    case 'broadcastProcess':
    case 'keyedBroadcastProcess':
      return 'process';
    case 'coMap':
      return 'map';
    case 'timestamps':
      return 'assignTimestampsAndWatermarks';
    default:
      return type;
  }
}
