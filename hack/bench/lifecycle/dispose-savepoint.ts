import { getJson, postJson } from '../throughput/rest.ts';
import { waitUntil } from '../throughput/wait-until.ts';

const timeoutMs = 10 * 60_000;
const intervalMs = 50;

/** With Flink's REST paths, which both engines serve. A gigabyte for each savepoint of a run would fill a small disk. */
export async function disposeSavepoint(restUrl: string, path: string, signal: AbortSignal): Promise<void> {
  const answer = (await postJson(`${restUrl}/savepoint-disposal`, { 'savepoint-path': path })) as {
    readonly 'request-id': string;
  };
  await waitUntil({
    ...{ what: `the disposal of the savepoint ${path}`, timeoutMs, intervalMs, signal },
    look: async () => {
      const asked = (await getJson(`${restUrl}/savepoint-disposal/${answer['request-id']}`)) as {
        readonly status: { readonly id: string };
        readonly operation?: { readonly 'failure-cause'?: unknown };
      };
      if (asked.operation?.['failure-cause'] !== undefined) {
        throw new Error(`the savepoint ${path} was not disposed of: ${JSON.stringify(asked).slice(0, 2000)}`);
      }
      return asked.status.id === 'COMPLETED' ? true : undefined;
    },
  });
}
