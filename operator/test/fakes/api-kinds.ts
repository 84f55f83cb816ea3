import type { ObjectKind } from '../../src/kubernetes/object-client.ts';

/** What the fake API server knows of a sort of objects. */
export interface FakeKind extends ObjectKind {
  readonly plural: string;
  readonly namespaced: boolean;
  /** With a status subresource, a write to the object leaves its status alone and the other way round. */
  readonly hasStatus: boolean;
  /** Where `scale` finds the replicas. */
  readonly replicasPath?: readonly string[];
}

const namespaced = true;

export const builtInKinds: readonly FakeKind[] = [
  { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false, hasStatus: true },
  { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false, hasStatus: true },
  { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced, hasStatus: true },
  { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced, hasStatus: true },
  { apiVersion: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced, hasStatus: false },
  { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced, hasStatus: false },
  { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced, hasStatus: false },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', namespaced, hasStatus: true },
  { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced, hasStatus: true },
  { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespaced, hasStatus: true, replicasPath: ['replicas'] },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', plural: 'statefulsets', namespaced, hasStatus: true, replicasPath: ['replicas'] },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet', plural: 'replicasets', namespaced, hasStatus: true, replicasPath: ['replicas'] },
  { apiVersion: 'apps/v1', kind: 'ControllerRevision', plural: 'controllerrevisions', namespaced, hasStatus: false },
  { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs', namespaced, hasStatus: true },
  { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases', namespaced, hasStatus: false },
  { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events', namespaced, hasStatus: false },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', plural: 'networkpolicies', namespaced, hasStatus: false },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', plural: 'poddisruptionbudgets', namespaced, hasStatus: true },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', plural: 'roles', namespaced, hasStatus: false },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', plural: 'rolebindings', namespaced, hasStatus: false },
  {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    plural: 'flinkjobs',
    namespaced,
    hasStatus: true,
    replicasPath: ['job', 'parallelism'],
  },
  { apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkSavepoint', plural: 'flinksavepoints', namespaced, hasStatus: true },
];
