import { Agent as HttpAgent } from 'node:http';
import { Agent, type AgentOptions, type RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { ClusterAccess } from './cluster-access.ts';
import { keepAliveOptions } from './keep-alive.ts';

/**
 * By a kubeconfig, outside of pods: contexts, client certificates, tokens, exec plugins, OIDC and proxies as the client library reads them. Its own agents keep no
 * connection, and one that was made stays for ever; ours are kept and made anew when CA or client certificate change.
 */
export function kubeconfigAccess(file: string | undefined, context?: string): ClusterAccess {
  const config = new KubeConfig();
  if (file === undefined) {
    config.loadFromDefault();
  } else {
    config.loadFromFile(file);
  }
  if (context !== undefined) {
    chooseContext(config, context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new Error(`the context ${config.getCurrentContext() ?? '(none is current)'} names no cluster`);
  }
  const server = new URL(cluster.server);
  let made: { readonly key: string; readonly agent: Agent | HttpAgent } | undefined;
  return {
    server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    async credentials() {
      if (server.protocol === 'http:') {
        // kubectl proxy and servers of tests. The library refuses to send credentials there, and so does this.
        made ??= { key: '', agent: new HttpAgent(keepAliveOptions) };
        return { headers: {}, connection: { agent: made.agent } };
      }
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { agent: fromLibrary, ca, cert, key, servername, rejectUnauthorized, auth, headers = {} } = options;
      const tls = { ca, cert, key, servername, rejectUnauthorized };
      const digest = JSON.stringify(tls, (_name, value) => (Buffer.isBuffer(value) ? value.toString('base64') : value));
      if (made?.key !== digest) {
        made?.agent.destroy();
        const agent =
          cluster.proxyUrl === undefined ? new Agent({ ...keepAliveOptions, ...present(tls) }) : (fromLibrary as Agent);
        made = { key: digest, agent };
      }
      const basic = typeof auth === 'string' ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
      return { headers: { ...basic, ...(headers as Readonly<Record<string, string>>) }, connection: { agent: made.agent } };
    },
  };
}

function chooseContext(config: KubeConfig, context: string): void {
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context)) {
    throw new Error(`there is no context ${context}; there ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ') || 'none'}`);
  }
  config.setCurrentContext(context);
}

function present(options: object): AgentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
