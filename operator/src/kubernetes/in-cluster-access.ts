import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { isIPv6 } from 'node:net';
import type { ClusterAccess, Credentials } from './cluster-access.ts';
import { keepAliveOptions } from './keep-alive.ts';

export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The kubelet replaces a token when a fifth of its life is left, ten minutes at the least; client-go looks once a minute too. */
const rereadAfterMs = 60_000;

/** Of a process in a pod: the mounted service account. Token and CA are read again, so that neither's rotation needs a restart. */
export async function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>>,
  { directory = serviceAccountDirectory, monotonicMs = () => performance.now() } = {},
): Promise<ClusterAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (host === undefined || port === undefined) {
    throw new Error('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set');
  }
  let readAtMs = monotonicMs();
  let mounted = await readMounted(directory);
  return {
    server: new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    namespace: mounted.namespace,
    async credentials() {
      if (monotonicMs() - readAtMs >= rereadAfterMs) {
        const { agent, ca } = mounted;
        const next = await readMounted(directory, { agent, ca });
        if (next.agent !== agent) {
          agent.destroy();
        }
        mounted = next;
        readAtMs = monotonicMs();
      }
      return credentialsOf(mounted);
    },
  };
}

interface Mounted {
  readonly token: string;
  readonly ca: string;
  readonly namespace: string;
  readonly agent: Agent;
}

async function readMounted(directory: string, before?: { readonly agent: Agent; readonly ca: string }): Promise<Mounted> {
  const [token, ca, namespace] = await Promise.all(
    ['token', 'ca.crt', 'namespace'].map((file) => readFile(`${directory}/${file}`, 'utf8')),
  );
  if (token === undefined || ca === undefined || namespace === undefined || token.trim() === '') {
    throw new Error(`${directory}/token is empty`);
  }
  const agent = before?.ca === ca ? before.agent : new Agent({ ...keepAliveOptions, ca });
  return { token: token.trim(), ca, namespace: namespace.trim(), agent };
}

function credentialsOf({ token, agent }: Mounted): Credentials {
  return { headers: { authorization: `Bearer ${token}` }, connection: { agent } };
}
