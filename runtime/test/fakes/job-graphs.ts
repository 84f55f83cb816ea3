import type {
  BroadcastDescription,
  JobEdge,
  JobGraph,
  JobVertex,
  KeyedDescription,
  OperatorDescription,
  OperatorListsDescription,
} from '../../src/core/job-graph/job-graph.ts';
import type { TypeDescriptor } from '../../src/core/types/type.ts';

/** `lines -> counts -> out`, each its own vertex: a source, a keyed operator with one int state, an exactly-once sink. */
export function wordCountGraph(
  overrides: {
    readonly parallelism?: number;
    readonly sourceParallelism?: number;
    readonly maxParallelism?: number;
    readonly keyed?: Partial<KeyedDescription>;
    /** Of `counts`. */
    readonly broadcast?: BroadcastDescription;
    readonly operatorLists?: OperatorListsDescription;
    readonly bounded?: boolean;
    readonly positionType?: TypeDescriptor;
    readonly uids?: { readonly source?: string; readonly keyed?: string; readonly sink?: string };
  } = {},
): JobGraph {
  const { parallelism = 2, maxParallelism = 128 } = overrides;
  const uids = { source: 'lines', keyed: 'counts', sink: 'out', ...overrides.uids };
  const source = operator({
    id: uids.source,
    type: 'source',
    source: { bounded: overrides.bounded ?? false, replayable: true, positionType: overrides.positionType ?? { type: 'int' } },
  });
  const keyed = operator({
    id: uids.keyed,
    type: 'keyedProcess',
    keyed: {
      keyType: { type: 'string' },
      states: [{ name: 'count', stateType: 'value', valueType: { type: 'int' } }],
      timers: false,
      ...overrides.keyed,
    },
    ...(overrides.broadcast === undefined ? {} : { broadcast: overrides.broadcast }),
    ...(overrides.operatorLists === undefined ? {} : { operatorLists: overrides.operatorLists }),
  });
  const sink = operator({ id: uids.sink, type: 'sink', sink: { guarantee: 'ExactlyOnce' } });
  const widths = { maxParallelism, parallelism };
  return {
    name: 'word-count',
    ...widths,
    vertices: [
      vertex(source, { ...widths, parallelism: overrides.sourceParallelism ?? parallelism }),
      vertex(keyed, widths),
      vertex(sink, widths),
    ],
    edges: [edge(uids.source, uids.keyed, 'Hash'), edge(uids.keyed, uids.sink, 'Forward')],
  };
}

export function operator(
  overrides: Partial<OperatorDescription> & Pick<OperatorDescription, 'id' | 'type'>,
): OperatorDescription {
  return { uid: overrides.id, name: overrides.id, keyed: undefined, source: undefined, sink: undefined, ...overrides };
}

function vertex(head: OperatorDescription, widths: { readonly parallelism: number; readonly maxParallelism: number }): JobVertex {
  return { id: head.id, name: head.name, ...widths, operators: [head] };
}

function edge(from: string, to: string, partitioning: JobEdge['partitioning']): JobEdge {
  return { id: `${from}->${to}`, from, to, fromOperator: from, inputOrdinal: 0, partitioning, recordType: { type: 'any' } };
}
