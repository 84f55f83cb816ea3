import { type Condition, findCondition } from '../../src/api/conditions.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';

export type Kstatus = 'Current' | 'InProgress' | 'Failed' | 'Terminating';

/**
 * What `kstatus` (and with it Flux, `kubectl-style` waits and health checks made after it) takes a resource for: deletion first, then whether the controller has seen the
 * spec, then the abnormal conditions, then Ready.
 */
export function kstatusOf(resource: {
  readonly generation: number;
  readonly deleting: boolean;
  readonly status: Pick<FlinkJobStatus, 'observedGeneration' | 'conditions'>;
}): Kstatus {
  const { generation, deleting, status } = resource;
  const is = (type: Condition['type']) => findCondition(status.conditions, type)?.status === 'True';
  if (deleting) {
    return 'Terminating';
  }
  if (status.observedGeneration !== generation || is('Reconciling')) {
    return 'InProgress';
  }
  if (is('Stalled')) {
    return 'Failed';
  }
  return is('Ready') ? 'Current' : 'InProgress';
}
