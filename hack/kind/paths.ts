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
