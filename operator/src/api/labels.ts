/** Names of ours in metadata. */
export const group = 'flinkjob.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;
export const kind = 'FlinkJob';

export const annotations = {
  /** SHA-256 of the job module's content, set by the CLI: a changed module is a new revision although the spec is the same. */
  moduleDigest: `${group}/module-digest`,
  /** Where the author's module is, set by the CLI; `spec.job.module` may be a copy of it. For people. */
  moduleSource: `${group}/module-source`,
  /** Absolute directory that relative paths of the spec and of the job's own files count from, set by the CLI. */
  workingDirectory: `${group}/working-directory`,
  /** Set by `kubectl flinkjob rollback`: the revision whose spec, with the defaults of then, was written back. Counts as long as it is that. */
  revision: `${group}/revision`,
  /** `"true"`: the controller looks, and does nothing; only deleting still works. */
  paused: `${group}/paused`,
} as const;

/** On the objects that a FlinkJob has in Kubernetes; everything is found again by them. */
export const labels = {
  application: 'app.kubernetes.io/name',
  managedBy: 'app.kubernetes.io/managed-by',
  /** Of the FlinkJob. */
  flinkJob: `${group}/name`,
  uid: `${group}/uid`,
  /** `jobmanager`, `taskmanager`, `preflight`, `purge`. */
  component: `${group}/component`,
  revision: `${group}/revision`,
  attempt: `${group}/attempt`,
  /** Of the JobManagers of one attempt. */
  instance: `${group}/instance`,
} as const;

/** Holds the resource until its processes are gone. */
export const finalizer = `${group}/processes`;
