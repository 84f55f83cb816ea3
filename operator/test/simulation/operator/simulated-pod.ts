import type { Pod } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import type { SimulatedJobManager } from './simulated-job-manager.ts';
import type { SimulatedNode } from './simulated-node.ts';

/** A pod as its node has it: it lives on there whatever the API says. */
export interface SimulatedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly component: string;
  readonly flinkJobUid: string;
  readonly attemptNumber: number;
  readonly node: SimulatedNode;
  readonly ip: string;
  readonly restartPolicy: string;
  readonly configMapName: string;
  /** In front of its command; undefined while nothing runs. */
  process: 'Starting' | 'Running' | 'Ended';
  /** It lives and does nothing. */
  isHung: boolean;
  /** A TaskManager registers from then on. */
  readyAtMs: number;
  restarts: number;
  /** Slots of a TaskManager. */
  slots: number;
  jobManager: SimulatedJobManager | undefined;
  lastEnd: { readonly exitCode: number; readonly message: string } | undefined;
  startedAtMs: number;
  isTerminating: boolean;
}

/** `config.json` of the ConfigMap that a pod mounts. */
export function configMapNameOf(pod: Pod): string {
  const { volumes = [] } = (pod.spec ?? {}) as { volumes?: readonly { configMap?: { name: string } }[] };
  return volumes.find(({ configMap }) => configMap !== undefined)?.configMap?.name ?? '';
}
