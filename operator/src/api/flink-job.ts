import { z } from 'zod';
import { FlinkJobSpec } from './flink-job-spec.ts';
import { FlinkJobStatus } from './flink-job-status.ts';
import { apiVersion, kind } from './labels.ts';

const dnsLabel = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

/** What a person may write under `metadata`; the store owns the rest. */
const Metadata = z.strictObject({
  // Pods carry the name and a suffix, and a label may have 63 characters.
  name: z.string().min(1).max(45).regex(dnsLabel),
  namespace: z.string().min(1).max(63).regex(dnsLabel).default('default'),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** Metadata of a resource in a store. */
const StoredMetadata = z.strictObject({
  ...Metadata.shape,
  uid: z.string().min(1),
  /** Rises with every change of the spec, and only then. */
  generation: z.int().min(1),
  /** Changes with every write. */
  resourceVersion: z.string().min(1),
  creationTimestamp: z.iso.datetime(),
  deletionTimestamp: z.iso.datetime().optional(),
  finalizers: z.array(z.string()).default([]),
});

/** A FlinkJob as a person writes it, defaults filled in. */
export const FlinkJobManifest = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal(kind),
  metadata: Metadata,
  spec: FlinkJobSpec,
});
export type FlinkJobManifest = z.infer<typeof FlinkJobManifest>;

/**
 * A FlinkJob as it lies in a store. The spec has not been checked again: another version may have written it, so the controller parses
 * it before use.
 */
export const StoredFlinkJob = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal(kind),
  metadata: StoredMetadata,
  spec: z.unknown(),
  status: FlinkJobStatus.optional(),
});
export type StoredFlinkJob = z.infer<typeof StoredFlinkJob>;

/** Names one FlinkJob. */
export interface FlinkJobKey {
  readonly namespace: string;
  readonly name: string;
}

export function keyOf(flinkJob: { readonly metadata: FlinkJobKey }): FlinkJobKey {
  return { namespace: flinkJob.metadata.namespace, name: flinkJob.metadata.name };
}

export function formatKey(key: FlinkJobKey): string {
  return `${key.namespace}/${key.name}`;
}

/** Of what `formatKey` has written; neither part can hold a slash. */
export function parseKey(text: string): FlinkJobKey {
  const [namespace = '', name = ''] = text.split('/');
  return { namespace, name };
}
