import type { JobReference } from '../platform.ts';
import { type ConfigMap, kinds } from './kubernetes-objects.ts';
import { metadataOf } from './names.ts';

/**
 * The configuration file of one workload. It never changes, like the attempt that it belongs to: a newer controller that would write it otherwise
 * restarts nothing. Credentials are not in it; they come from the environment of the pods, by reference.
 */
export function configMapOf(
  job: JobReference,
  name: string,
  content: { readonly labels: Readonly<Record<string, string>>; readonly config: object },
): ConfigMap {
  return {
    ...kinds.configMap,
    metadata: metadataOf(job, name, content.labels),
    immutable: true,
    data: { 'config.json': `${JSON.stringify(content.config, undefined, 2)}\n` },
  };
}
