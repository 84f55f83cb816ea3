import type { JobVertex } from '../core/job-graph/job-graph.ts';
import { operatorMetrics } from '../core/metrics/metric-definitions.ts';
import type { OperatorMetric } from '../core/protocol/messages.ts';
import { CountedStage } from './chain/counted-stage.ts';
import type { OutputStage } from './chain/output-stage.ts';
import type { Stage } from './chain/stage.ts';
import type { KeyedOperator } from './head-state.ts';
import { OperatorMetricGroup } from './operator-metric-group.ts';
import type { SinkOperator } from './sink-operator.ts';
import type { SourceOperator } from './source-operator.ts';

interface MeasuredChain {
  /** Of the task, which is what its first operator receives. */
  readonly recordsIn: number;
  readonly source: SourceOperator | undefined;
  readonly keyed: KeyedOperator | undefined;
  readonly sinks: readonly SinkOperator[];
  readonly outputs: readonly OutputStage[];
}

type Names = keyof typeof operatorMetrics;

/** What the operators of one subtask's chain count by themselves, and what authors count in them. */
export class ChainMetrics {
  readonly #operatorIds: readonly string[];
  readonly #groups = new Map<string, OperatorMetricGroup>();
  /** By the operator that emits. */
  readonly #between = new Map<string, CountedStage>();

  constructor(vertex: JobVertex) {
    this.#operatorIds = vertex.operators.map(({ id }) => id);
  }

  groupOf(operatorId: string): OperatorMetricGroup {
    const group = this.#groups.get(operatorId) ?? new OperatorMetricGroup(operatorId);
    this.#groups.set(operatorId, group);
    return group;
  }

  /** `next` is the operator after `operatorId` in the chain. */
  countBetween(operatorId: string, next: Stage): Stage {
    const counted = new CountedStage(next);
    this.#between.set(operatorId, counted);
    return counted;
  }

  measure(chain: MeasuredChain): readonly OperatorMetric[] {
    const metrics: OperatorMetric[] = [];
    let recordsIn = chain.recordsIn;
    for (const uid of this.#operatorIds) {
      const chained = this.#between.get(uid)?.recordCount ?? 0;
      const values: Readonly<Record<string, number | undefined>> = {
        numRecordsIn: recordsIn,
        numRecordsOut: chained + recordsOut(uid, chain),
        ...(uid === chain.source?.operator.id ? chain.source.measure() : {}),
        ...(uid === chain.keyed?.operator.id ? measureKeyed(chain.keyed) : {}),
        pendingCommittables: chain.sinks.find(({ operator }) => operator.id === uid)?.pendingCount,
      };
      for (const [name, value] of Object.entries(values)) {
        // What a state backend counts and no document explains is not shown.
        const kind = operatorMetrics[name as Names]?.kind;
        if (kind !== undefined && value !== undefined && Number.isFinite(value)) {
          metrics.push({ uid, name, kind, value });
        }
      }
      metrics.push(...(this.#groups.get(uid)?.measure() ?? []));
      recordsIn = chained;
    }
    return metrics;
  }
}

/** To other subtasks, and what a sink has written. */
function recordsOut(operatorId: string, { outputs, sinks }: MeasuredChain): number {
  const sent = outputs.reduce((sum, output) => sum + (output.operatorId === operatorId ? output.recordCount : 0), 0);
  return sent + (sinks.find(({ operator }) => operator.id === operatorId)?.stage.recordCount ?? 0);
}

function measureKeyed({ backend, stage }: KeyedOperator): Readonly<Record<string, number>> {
  return {
    numLateRecordsDropped: stage.lateRecordCount,
    ...Object.fromEntries(Object.entries(backend.counters()).map(([name, value]) => [`state_${name}`, value])),
  };
}
