import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { JobError } from '@flinkjob/runtime/rest';
import { inClusterAccess, serviceAccountDirectory } from './in-cluster-access.ts';

/** Where the API server is and how this process proves who it is. */
export interface ClusterAccess {
  /** `https://10.96.0.1:443`, without a path in most clusters. */
  readonly server: URL;
  /** Of the service account or of the kubeconfig's context. */
  readonly namespace: string;
  /** Headers, CA, client certificate and agent of the next request. Asked before each one, because tokens and certificates rotate. */
  credentials(): Promise<Credentials>;
}

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  /** Includes the agent, which keeps connections alive. */
  readonly connection: RequestOptions;
}

/**
 * In this order, as kubectl does: the named kubeconfig, `KUBECONFIG`, the service account of the pod, `~/.kube/config`. Inside a pod the client library
 * is not loaded (docs/decisions/0012): it costs about 60 MiB, and what is left to do there is to read a token.
 */
export async function openClusterAccess(options: {
  readonly kubeconfig?: string | undefined;
  /** Instead of the kubeconfig's current one. */
  readonly context?: string | undefined;
}): Promise<ClusterAccess> {
  const inPod = options.kubeconfig === undefined && options.context === undefined && (await isInPod());
  try {
    if (inPod) {
      return await inClusterAccess(process.env);
    }
    const { kubeconfigAccess } = await import('./kubeconfig-access.ts');
    return kubeconfigAccess(options.kubeconfig, options.context);
  } catch (cause) {
    const where = inPod ? serviceAccountDirectory : (options.kubeconfig ?? 'KUBECONFIG or ~/.kube/config');
    throw new JobError(`no access to a Kubernetes cluster: ${where} cannot be used (${(cause as Error).message})`, {
      domain: 'user',
      retry: 'never',
      code: 'NoClusterAccess',
      remedy: inPod
        ? 'Let the pod mount its service account token (automountServiceAccountToken).'
        : 'Name a kubeconfig with --kubeconfig or KUBECONFIG; `kubectl config view` shows what is in it.',
      cause,
    });
  }
}

async function isInPod(): Promise<boolean> {
  if (process.env['KUBECONFIG'] !== undefined || process.env['KUBERNETES_SERVICE_HOST'] === undefined) {
    return false;
  }
  return readFile(`${serviceAccountDirectory}/token`).then(
    () => true,
    () => false,
  );
}
