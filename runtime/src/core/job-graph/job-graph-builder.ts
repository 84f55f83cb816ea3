import { isMaxParallelism, maxParallelismMax, maxParallelismMin } from '../key-groups/key-group.ts';
import { anyType } from '../types/any-type.ts';
import type { Type } from '../types/type.ts';
import type { EdgeImplementation, ExecutableJob, KeySelection, OperatorImplementation } from './executable-job.ts';
import { invalidJob } from './invalid-job.ts';
import type { JobEdge, JobVertex, OperatorDescription, OperatorType, Partitioning } from './job-graph.ts';
import { checkUid } from './operator-uid.ts';

/**
 * Collects the operators that an author declares and turns them into a JobGraph.
 *
 * 1. An operator's input is declared before it, so the order of declaration is topological.
 * 2. Operators are chained into one vertex when the records need not move: not keyed, same parallelism, and nobody else reads them.
 * 3. A keyed operator always begins a vertex, also at parallelism 1: a rescale then changes numbers, not the graph's shape.
 */
export interface OperatorDeclaration {
  readonly type: OperatorType;
  readonly uid: unknown;
  /** Asked for by the author. */
  readonly parallelism: unknown;
  readonly input: OperatorInput | undefined;
  /** Of the operator's output; undefined where the author declared none. */
  readonly recordType: Type<unknown> | undefined;
  readonly implementation: OperatorImplementation;
}

interface OperatorInput {
  readonly from: DeclaredOperator;
  /** Records are sent to the subtask that owns their key group. */
  readonly key: KeySelection | undefined;
}

export interface DeclaredOperator {
  readonly description: OperatorDescription;
  readonly implementation: OperatorImplementation;
  readonly parallelism: number;
  readonly input: OperatorInput | undefined;
  readonly recordType: Type<unknown>;
}

export interface JobGraphOptions {
  readonly name: string;
  /** Of operators that ask for none. */
  readonly parallelism: number;
  readonly maxParallelism: number;
}

export class JobGraphBuilder {
  readonly options: JobGraphOptions;
  readonly #operators: DeclaredOperator[] = [];
  #built = false;

  constructor(options: JobGraphOptions) {
    checkParallelism(options);
    this.options = options;
  }

  add(declaration: OperatorDeclaration): DeclaredOperator {
    if (this.#built) {
      throw invalidJob(
        'JobAlreadyBuilt',
        `${formatOperator(declaration)} was added after the job was built`,
        'Declare the whole job before the function given to defineJob returns, or before its promise resolves.',
      );
    }
    const operator = describe(declaration, this.#operators.length, this.options);
    const taken = this.#operators.find(({ description }) => description.id === operator.description.id);
    if (taken !== undefined) {
      throw invalidJob(
        'UidDuplicate',
        `the uid "${operator.description.id}" is used twice: by a ${taken.description.type} and a ${declaration.type}`,
        'Give every operator a uid of its own: state is found again by its uid.',
      );
    }
    this.#operators.push(operator);
    return operator;
  }

  build(): ExecutableJob {
    this.#built = true;
    const operators = this.#operators;
    if (!operators.some(({ description }) => description.type === 'source')) {
      throw invalidJob('SourceMissing', 'the job has no source', "Begin with env.source(socketLines({ … }), { uid: 'lines' }).");
    }
    const consumerCounts = countConsumers(operators);
    for (const operator of operators) {
      if (operator.description.type !== 'sink' && !consumerCounts.has(operator)) {
        throw invalidJob(
          'SinkMissing',
          `nothing reads what ${operator.description.name} emits`,
          "End every stream in a sink, such as .sink(print(), { uid: 'out' }).",
        );
      }
    }
    return toExecutableJob(operators, chain(operators, consumerCounts), this.options);
  }
}

function checkParallelism({ parallelism, maxParallelism }: JobGraphOptions): void {
  if (!isMaxParallelism(maxParallelism)) {
    throw invalidJob(
      'MaxParallelismInvalid',
      `maxParallelism is ${maxParallelism}`,
      `Use a power of two from ${maxParallelismMin} to ${maxParallelismMax}; it cannot change while keyed state is kept.`,
    );
  }
  if (!Number.isSafeInteger(parallelism) || parallelism < 1 || parallelism > maxParallelism) {
    throw invalidJob(
      'ParallelismInvalid',
      `parallelism is ${parallelism} with a maxParallelism of ${maxParallelism}`,
      'Use a whole number from 1 to maxParallelism.',
    );
  }
}

function describe(declaration: OperatorDeclaration, index: number, options: JobGraphOptions): DeclaredOperator {
  const { type, implementation } = declaration;
  const uidRequired = type === 'source' || type === 'sink' || type === 'keyedProcess' || type === 'reduce';
  const uid = uidRequired || declaration.uid !== undefined ? checkUid(declaration.uid, formatOperator(declaration)) : undefined;
  const description: OperatorDescription = {
    id: uid ?? `#${index}-${type}`,
    uid,
    type,
    name: uid ?? type,
    keyed:
      implementation.type === 'keyedProcess'
        ? {
            keyType: implementation.key.keyType.descriptor,
            states: implementation.states.map((state) => state.declaration),
            timers: implementation.function.timer !== undefined,
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
    sink: implementation.type === 'sink' ? { guarantee: implementation.sink.guarantee } : undefined,
  };
  return {
    description,
    implementation,
    parallelism: chooseParallelism(declaration, description.name, options),
    input: declaration.input,
    recordType: declaration.recordType ?? anyType,
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

function formatOperator({ type, implementation, uid }: OperatorDeclaration): string {
  const named = typeof uid === 'string' && uid !== '' ? ` "${uid}"` : '';
  switch (implementation.type) {
    case 'source':
      return `the source ${implementation.source.name}${named}`;
    case 'sink':
      return `the sink ${implementation.sink.name}${named}`;
    default:
      return `the operator ${type === 'keyedProcess' ? 'process' : type}${named}`;
  }
}

function countConsumers(operators: readonly DeclaredOperator[]): ReadonlyMap<DeclaredOperator, number> {
  const counts = new Map<DeclaredOperator, number>();
  for (const { input } of operators) {
    if (input !== undefined) {
      counts.set(input.from, (counts.get(input.from) ?? 0) + 1);
    }
  }
  return counts;
}

type Chain = [DeclaredOperator, ...DeclaredOperator[]];

function chain(operators: readonly DeclaredOperator[], consumerCounts: ReadonlyMap<DeclaredOperator, number>): readonly Chain[] {
  const chains: Chain[] = [];
  const chainOf = new Map<DeclaredOperator, Chain>();
  for (const operator of operators) {
    const { input } = operator;
    const upstream = input === undefined ? undefined : chainOf.get(input.from);
    const chained =
      input !== undefined &&
      upstream !== undefined &&
      input.key === undefined &&
      input.from.parallelism === operator.parallelism &&
      consumerCounts.get(input.from) === 1;
    if (chained) {
      upstream.push(operator);
      chainOf.set(operator, upstream);
    } else {
      const begun: Chain = [operator];
      chains.push(begun);
      chainOf.set(operator, begun);
    }
  }
  return chains;
}

function toExecutableJob(
  operators: readonly DeclaredOperator[],
  chains: readonly Chain[],
  { name, parallelism, maxParallelism }: JobGraphOptions,
): ExecutableJob {
  const vertices: JobVertex[] = [];
  const vertexIdOf = new Map<DeclaredOperator, string>();
  const edges: JobEdge[] = [];
  const edgeImplementations = new Map<string, EdgeImplementation>();
  for (const chained of chains) {
    const [first] = chained;
    const { id } = first.description;
    vertices.push({
      id,
      name: chained.map(({ description }) => description.name).join(' -> '),
      parallelism: first.parallelism,
      maxParallelism,
      operators: chained.map(({ description }) => description),
    });
    for (const operator of chained) {
      vertexIdOf.set(operator, id);
    }
    const { input } = first;
    const from = input === undefined ? undefined : vertexIdOf.get(input.from);
    if (input !== undefined && from !== undefined) {
      const edgeId = `${from}->${id}`;
      const partitioning = choosePartitioning(input, first.parallelism);
      edges.push({ id: edgeId, from, to: id, partitioning, recordType: input.from.recordType.descriptor });
      edgeImplementations.set(edgeId, { recordType: input.from.recordType, key: input.key });
    }
  }
  return {
    graph: { name, parallelism, maxParallelism, vertices, edges },
    operators: new Map(operators.map(({ description, implementation }) => [description.id, implementation])),
    edges: edgeImplementations,
  };
}

function choosePartitioning({ from, key }: OperatorInput, parallelism: number): Partitioning {
  if (key !== undefined) {
    return 'Hash';
  }
  return from.parallelism === parallelism ? 'Forward' : 'Rebalance';
}
