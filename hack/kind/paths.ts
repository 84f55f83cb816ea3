import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where all of it lies: not in git, and safe to remove while no cluster and no engine runs. */
export const cacheDirectory = fileURLToPath(new URL('../../.cache/kind', import.meta.url));
/** kubectl, helm, kind, and etcd and kube-apiserver for tests of the API alone. */
export const binDirectory = join(cacheDirectory, 'bin');
/** The cluster's. The user's own `~/.kube/config` is never touched. */
export const kubeconfigFile = join(cacheDirectory, 'kubeconfig');
/** This folder, for the files beside the sources. */
export const kindDirectory = fileURLToPath(new URL('.', import.meta.url));
/**
 * The same directory on every node, and here: for volumes that pods on several nodes write at once, as on a file server. A cluster of containers on one machine
 * has nothing else that could be one.
 */
export const sharedDirectory = join(cacheDirectory, 'shared');
/** Where the nodes have it. */
export const sharedDirectoryOfNodes = '/var/local/flinkjob-shared';
