import { ApiError } from './api-error.ts';
import type { KubernetesObject, ObjectKind } from './object-client.ts';
import type { RepeatedRequests } from './repeated-requests.ts';
import type { ResourcePaths } from './resource-paths.ts';

/** client-go's; keeps one answer at a few megabytes, parsed in tens of milliseconds. */
const pageSize = 500;
/** The server forgets a list after five minutes. A list that expired this often is asked for in one piece. */
const expiriesMax = 2;

export interface ObjectList<T> {
  readonly items: readonly T[];
  /** The moment that all items are of; a watch may go on from it. */
  readonly resourceVersion: string;
}

export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** All pages of a list, of one moment. */
export async function listObjects<T extends KubernetesObject>(
  { requests, paths }: { readonly requests: RepeatedRequests; readonly paths: ResourcePaths },
  kind: ObjectKind,
  options: Selection & { readonly signal?: AbortSignal; readonly limit?: number },
): Promise<ObjectList<T>> {
  const { namespace, labelSelector, fieldSelector, signal, limit = pageSize } = options;
  const path = await paths.pathOf(kind, { namespace });
  for (let expiries = 0; ; expiries += 1) {
    try {
      const pageLimit = expiries < expiriesMax ? String(limit) : undefined;
      const items: T[] = [];
      let next: string | undefined;
      for (;;) {
        const query = { labelSelector, fieldSelector, limit: pageLimit, continue: next };
        const { body } = await requests.send({ method: 'GET', path, query }, { repeatable: true, signal });
        const page = body as {
          readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
          readonly items: readonly T[];
        };
        // Items of a list do not say what they are.
        items.push(...page.items.map((item) => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind })));
        next = page.metadata.continue || undefined;
        if (next === undefined) {
          return { items, resourceVersion: page.metadata.resourceVersion };
        }
      }
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410 && expiries < expiriesMax)) {
        throw error;
      }
    }
  }
}
