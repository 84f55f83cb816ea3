import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { type ApiAccess, createApiAccess } from '../../src/kubernetes/api-object-client.ts';
import type { FakeApiServer } from './api-server.ts';

/** The real requests, to the fake server. */
export function accessTo(
  server: FakeApiServer,
  limits: { readonly attemptTimeoutMs?: number; readonly patienceMs?: number } = {},
): ApiAccess {
  const connection = connectToApi({
    server: new URL(server.url),
    namespace: 'default',
    credentials: async () => ({ headers: { authorization: 'Bearer token' }, connection: {} }),
  });
  return createApiAccess({ connection, attemptTimeoutMs: 20_000, patienceMs: 60_000, ...limits });
}
