import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStatus } from '../../api/flink-job-status.ts';
import { initialStatus } from '../../api/flink-job-status.ts';
import { apiVersion, kind } from '../../api/labels.ts';
import { type ApiConnection, connectToApi } from '../../kubernetes/api-connection.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import { type ApiAccess, createApiAccess, createObjectClient } from '../../kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../kubernetes/object-client.ts';
import { CommandFailure } from '../command.ts';
import type { OptionDescription, ParsedCommandLine } from '../command-line.ts';
import { nearest } from '../nearest.ts';

/** What commands against a cluster have in common: the options of kubectl, the way to the API server, and FlinkJobs as they are there. */

export const clusterOptions = {
  namespace: { type: 'string', short: 'n', value: 'NS', default: "the context's", meaning: 'namespace of the job' },
  context: { type: 'string', value: 'CONTEXT', default: 'the current one', meaning: 'context of the kubeconfig' },
  kubeconfig: {
    type: 'string',
    value: 'FILE',
    default: 'KUBECONFIG or ~/.kube/config',
    meaning: 'which cluster, and who you are',
  },
} as const satisfies Record<string, OptionDescription>;

/** Who the API shows as the owner of what is written here. */
export const fieldManager = 'kubectl-flinkjob';

export interface Cluster {
  readonly connection: ApiConnection;
  readonly access: ApiAccess;
  readonly client: ObjectClient;
  readonly namespace: string;
  /** Of the API server, for people. */
  readonly server: string;
  readonly version: string;
}

/** A person waits: one answer that takes longer is a cluster that cannot be worked with. */
export const answerTimeoutMs = 15_000;

/** Asks the API server for its version first, once: who has no cluster should hear that at once, and not after many tries. */
export async function openCluster(parsed: ParsedCommandLine): Promise<Cluster> {
  const found = await openClusterAccess({ kubeconfig: parsed.text('kubeconfig'), context: parsed.text('context') });
  const connection = connectToApi(found);
  const access = createApiAccess({ connection });
  return {
    ...{ connection, access, client: createObjectClient(access), server: found.server.href.replace(/\/$/, '') },
    namespace: parsed.text('namespace') ?? found.namespace,
    version: await serverVersion(connection),
  };
}

async function serverVersion(connection: ApiConnection): Promise<string> {
  try {
    const { body } = await connection.send({ method: 'GET', path: '/version' }, { timeoutMs: answerTimeoutMs });
    return (body as { readonly gitVersion?: string }).gitVersion ?? 'unknown';
  } catch (error) {
    // Somebody who may not ask for the version may still look at jobs.
    if (error instanceof ApiError && error.status === 403) {
      return 'unknown';
    }
    throw error;
  }
}

/** A FlinkJob as the API has it. */
export interface FlinkJobObject extends KubernetesObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: FlinkJobStatus;
}

/** The job of that name, or a failure that names those there are. */
export async function getFlinkJob(cluster: Cluster, name: string): Promise<FlinkJobObject> {
  const { namespace } = cluster;
  const found = await cluster.client.get<FlinkJobObject>({ apiVersion, kind, namespace, name });
  if (found !== undefined) {
    return found;
  }
  throw new CommandFailure(`there is no FlinkJob ${name} in namespace ${namespace}`, await whichThereAre(cluster, name));
}

async function whichThereAre(cluster: Cluster, name: string): Promise<string> {
  const { namespace } = cluster;
  const names = (await listFlinkJobs(cluster, namespace)).map(({ metadata }) => metadata.name);
  const near = nearest(name, names);
  if (near !== undefined) {
    return `Did you mean ${near}?`;
  }
  const elsewhere = (await everywhere(cluster)).find(({ metadata }) => metadata.name === name)?.metadata.namespace;
  if (elsewhere !== undefined) {
    return `There is one in another namespace: --namespace ${elsewhere}.`;
  }
  const shown = names.slice(0, namesMax).join(', ');
  return names.length === 0
    ? `There are none in this namespace; kubectl flinkjob get --all-namespaces lists those of all.`
    : `There ${names.length === 1 ? 'is' : 'are'}: ${shown}${names.length > namesMax ? ` and ${names.length - namesMax} more` : ''}.`;
}

/** Names in a message; whoever wants all of them asks for the list. */
const namesMax = 10;

/** For a hint only: whoever may see one namespace need not be allowed to see all. */
async function everywhere(cluster: Cluster): Promise<readonly FlinkJobObject[]> {
  try {
    return await listFlinkJobs(cluster, undefined);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) {
      return [];
    }
    throw error;
  }
}

/** Of all namespaces when it is undefined. */
export async function listFlinkJobs(cluster: Cluster, namespace: string | undefined): Promise<readonly FlinkJobObject[]> {
  return cluster.client.list<FlinkJobObject>({ apiVersion, kind }, { namespace });
}

/** In the form that the pure parts of the command line read. Fields that this version does not know pass through: the operator may be newer. */
export function storedFlinkJob({ metadata, spec, status }: FlinkJobObject): StoredFlinkJob {
  const { name, namespace = '', uid = '', generation = 1, resourceVersion = '', creationTimestamp = '' } = metadata;
  const { labels, annotations, deletionTimestamp, finalizers = [] } = metadata;
  return {
    ...{ apiVersion, kind, spec },
    metadata: {
      ...{ name, namespace, uid, generation, resourceVersion, creationTimestamp, finalizers: [...finalizers] },
      ...{ labels, annotations, deletionTimestamp },
    } as StoredFlinkJob['metadata'],
    ...(status === undefined ? {} : { status: { ...initialStatus, ...status } }),
  };
}

/** JSON merge patch of what a person decides; the API server checks it as it checks `kubectl patch`. */
export async function patchFlinkJob(
  cluster: Cluster,
  name: string,
  patch: object,
  options: { readonly dryRun?: boolean } = {},
): Promise<FlinkJobObject> {
  const path = await cluster.access.paths.pathOf({ apiVersion, kind }, { namespace: cluster.namespace, name });
  const { body } = await cluster.access.requests.send(
    {
      ...{ method: 'PATCH', path, body: patch, contentType: 'application/merge-patch+json' },
      query: { fieldManager, dryRun: options.dryRun === true ? 'All' : undefined },
    },
    { repeatable: true },
  );
  return body as FlinkJobObject;
}
