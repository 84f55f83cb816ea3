import { ApiError } from './api-error.ts';
import type { ObjectKind } from './object-client.ts';

interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface ObjectPath {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** Where objects of a kind are, as the server itself says (discovery); remembered, because it does not change for a kind that is there. */
export class ResourcePaths {
  readonly #discover: (path: string) => Promise<unknown>;
  readonly #found = new Map<string, Promise<ReadonlyMap<string, Resource>>>();

  constructor(discover: (path: string) => Promise<unknown>) {
    this.#discover = discover;
  }

  async pathOf({ apiVersion, kind }: ObjectKind, { namespace, name, subresource }: ObjectPath): Promise<string> {
    const { plural, namespaced } = await this.#resourceOf({ apiVersion, kind });
    if (namespaced && namespace === undefined && name !== undefined) {
      throw new Error(`${kind} ${name} is named without its namespace`);
    }
    const place = namespaced && namespace !== undefined ? ['namespaces', namespace] : [];
    const parts = [...place, plural, ...(name === undefined ? [] : [name]), ...(subresource === undefined ? [] : [subresource])];
    return `${groupPath(apiVersion)}/${parts.map(encodeURIComponent).join('/')}`;
  }

  async #resourceOf({ apiVersion, kind }: ObjectKind): Promise<Resource> {
    const known = (await this.#group(apiVersion)).get(kind);
    if (known !== undefined) {
      return known;
    }
    // Custom resources come while we run.
    this.#found.delete(apiVersion);
    const found = (await this.#group(apiVersion)).get(kind);
    if (found === undefined) {
      throw new ApiError(`the API server has no kind ${kind} in ${apiVersion}; apply its CustomResourceDefinition (crds/)`, {
        ...{ status: 404, reason: 'NoSuchKind' },
      });
    }
    return found;
  }

  #group(apiVersion: string): Promise<ReadonlyMap<string, Resource>> {
    const known = this.#found.get(apiVersion);
    if (known !== undefined) {
      return known;
    }
    const asked = this.#discover(groupPath(apiVersion)).then(resourcesOf, (error: unknown) => {
      this.#found.delete(apiVersion);
      if (error instanceof ApiError && error.status === 404) {
        return new Map<string, Resource>();
      }
      throw error;
    });
    this.#found.set(apiVersion, asked);
    return asked;
  }
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

function resourcesOf(body: unknown): ReadonlyMap<string, Resource> {
  const { resources = [] } = body as { resources?: readonly { name: string; kind: string; namespaced: boolean }[] };
  // `deployments/status` and its like are of the same kind.
  return new Map(
    resources
      .filter(({ name }) => !name.includes('/'))
      .map(({ name, kind, namespaced }): [string, Resource] => [kind, { plural: name, namespaced }]),
  );
}
