export type Kstatus = 'Current' | 'InProgress' | 'Failed' | 'Terminating';

/** As much of a FlinkJob or a FlinkSavepoint as is asked. */
export interface Judged {
  readonly generation: number;
  readonly deleting: boolean;
  readonly status: {
    readonly observedGeneration?: number | undefined;
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
  };
}

/**
 * What `kstatus` (and with it Flux, `kubectl-style` waits and health checks made after it) takes a resource for: deletion first, then whether the controller has seen the
 * spec, then the abnormal conditions, then Ready.
 */
export function kstatusOf({ generation, deleting, status }: Judged): Kstatus {
  const is = (type: string) => status.conditions.some((condition) => condition.type === type && condition.status === 'True');
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
