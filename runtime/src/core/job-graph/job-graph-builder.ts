import { isMaxParallelism, maxParallelismMax, maxParallelismMin } from '../key-groups/key-group.ts';
import type { Type } from '../types/type.ts';
import { type Chain, formChains } from './chains.ts';
import type { EdgeImplementation, ExecutableJob } from './executable-job.ts';
import { invalidJob } from './invalid-job.ts';
import type { JobEdge, JobVertex, Partitioning } from './job-graph.ts';
import {
  type DeclaredOperator,
  declareOperator,
  formatOperator,
  type JobGraphOptions,
  type OperatorDeclaration,
  type OperatorInput,
} from './operator-declaration.ts';

export type { JobGraphOptions } from './operator-declaration.ts';

/**
 * Collects the operators that an author declares and turns them into a JobGraph.
 *
 * 1. An operator's inputs are declared before it, so the order of declaration is topological.
 * 2. A chain of operators becomes one vertex, see `formChains`; what is not chained becomes edges, one for each output of an operator
 *    and each input of another that reads it.
 */
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
    const operator = declareOperator(declaration, this.#operators.length, this.options);
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
    checkEverythingIsRead(operators);
    return toExecutableJob(operators, formChains(operators), this.options);
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

/**
 * What nobody reads would be lost without a word. Only the main output of an operator whose side outputs are read may end nowhere: a function that sorts
 * records into side outputs need not emit anything else.
 */
function checkEverythingIsRead(operators: readonly DeclaredOperator[]): void {
  const read = new Map<DeclaredOperator, Set<string | undefined>>(operators.map((operator) => [operator, new Set()]));
  for (const { inputs } of operators) {
    for (const { from, outputTag } of inputs) {
      read.get(from)?.add(outputTag);
    }
  }
  for (const [{ description, sideOutputs }, outputs] of read) {
    const unreadTag = [...sideOutputs.keys()].find((tag) => !outputs.has(tag));
    if (unreadTag !== undefined) {
      throw invalidJob(
        'SinkMissing',
        `nothing reads what ${description.name} emits to its side output "${unreadTag}"`,
        `Read it with .sideOutput("${unreadTag}") and end it in a sink, or do not declare it.`,
      );
    }
    if (description.type !== 'sink' && outputs.size === 0) {
      throw invalidJob(
        'SinkMissing',
        `nothing reads what ${description.name} emits`,
        "End every stream in a sink, such as .sink(print(), { uid: 'out' }).",
      );
    }
  }
}

function toExecutableJob(
  operators: readonly DeclaredOperator[],
  chains: readonly Chain[],
  { name, parallelism, maxParallelism }: JobGraphOptions,
): ExecutableJob {
  const vertexIdOf = new Map(chains.flatMap((chain) => chain.map((operator) => [operator, chain[0].description.id])));
  const edges = new Map<string, { readonly edge: JobEdge; readonly implementation: EdgeImplementation }>();
  for (const [first] of chains) {
    for (const input of first.inputs) {
      const edge = toEdge(input, first, { vertexIdOf, isTaken: (id) => edges.has(id) });
      edges.set(edge.id, { edge, implementation: { recordType: outputType(input), key: input.key } });
    }
  }
  return {
    graph: {
      name,
      parallelism,
      maxParallelism,
      vertices: chains.map((chain) => toVertex(chain, maxParallelism)),
      edges: [...edges.values()].map(({ edge }) => edge),
    },
    operators: new Map(operators.map(({ description, implementation }) => [description.id, implementation])),
    edges: new Map([...edges].map(([id, { implementation }]) => [id, implementation])),
    broadcastStates: new Map(
      operators.flatMap(({ description, broadcastStates }) =>
        description.broadcast === undefined ? [] : [[description.id, broadcastStates]],
      ),
    ),
    operatorListStates: new Map(
      operators.flatMap(({ description, operatorListStates }) =>
        description.operatorLists === undefined ? [] : [[description.id, operatorListStates]],
      ),
    ),
  };
}

function toVertex(chain: Chain, maxParallelism: number): JobVertex {
  const [first] = chain;
  return {
    id: first.description.id,
    name: chain.map(({ description }) => description.name).join(' -> '),
    parallelism: first.parallelism,
    maxParallelism,
    operators: chain.map(({ description }) => description),
  };
}

function toEdge(
  input: OperatorInput,
  to: DeclaredOperator,
  graph: { readonly vertexIdOf: ReadonlyMap<DeclaredOperator, string>; readonly isTaken: (id: string) => boolean },
): JobEdge {
  const { from, outputTag, ordinal } = input;
  const fromVertex = graph.vertexIdOf.get(from) ?? from.description.id;
  return {
    id: edgeId(input, { fromVertex, to: to.description.id, isTaken: graph.isTaken }),
    from: fromVertex,
    to: to.description.id,
    fromOperator: from.description.id,
    ...(outputTag === undefined ? {} : { outputTag }),
    inputOrdinal: ordinal,
    partitioning: choosePartitioning(input, to.parallelism),
    recordType: outputType(input).descriptor,
  };
}

/**
 * `lines->counts`; `counts/late->files` from a side output, `rules->matches/2` into a second input. A stream that is read twice by one input
 * (a union with itself) gets `~2`. Neither uids nor tags have a `/`, `>` or `~`.
 */
function edgeId(
  { from, outputTag, ordinal }: OperatorInput,
  place: { readonly fromVertex: string; readonly to: string; readonly isTaken: (id: string) => boolean },
): string {
  const begin = outputTag === undefined ? place.fromVertex : `${from.description.id}/${outputTag}`;
  const end = ordinal === 0 ? place.to : `${place.to}/${ordinal + 1}`;
  const id = `${begin}->${end}`;
  let count = 1;
  while (place.isTaken(count === 1 ? id : `${id}~${count}`)) {
    count++;
  }
  return count === 1 ? id : `${id}~${count}`;
}

/** Of the output that an input reads. */
export function outputType({ from, outputTag }: Pick<OperatorInput, 'from' | 'outputTag'>): Type<unknown> {
  const type = outputTag === undefined ? from.recordType : from.sideOutputs.get(outputTag);
  if (type === undefined) {
    throw unknownSideOutput(from, outputTag ?? '');
  }
  return type;
}

function unknownSideOutput({ description, sideOutputs }: DeclaredOperator, tag: string): Error {
  const declared = [...sideOutputs.keys()].map((name) => `"${name}"`).join(', ') || 'none';
  return invalidJob(
    'SideOutputUnknown',
    `${description.name} has no side output "${tag}"; it declares ${declared}`,
    `Declare it where the function is: sideOutputs: { ${tag}: t.… }.`,
  );
}

function choosePartitioning({ from, key, broadcast }: OperatorInput, parallelism: number): Partitioning {
  if (broadcast) {
    return 'Broadcast';
  }
  if (key !== undefined) {
    return 'Hash';
  }
  return from.parallelism === parallelism ? 'Forward' : 'Rebalance';
}
