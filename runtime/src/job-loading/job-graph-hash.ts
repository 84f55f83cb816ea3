import { createHash } from 'node:crypto';
import type { JobGraph } from '../core/job-graph/job-graph.ts';

/** SHA-256 over the graph, lower-case hex. The same declarations give the same hash in every process; fields' order does not matter. */
export function jobGraphHash(graph: JobGraph): string {
  return createHash('sha256').update(JSON.stringify(graph, sortProperties)).digest('hex');
}

function sortProperties(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
